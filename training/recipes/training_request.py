"""The request for a training, and the checks that refuse contradictory requests.

Imports no torch, so that a wrong request is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.corpora.corpus_mix import CorpusMix, LabelMap
from udfs.errors import InputError
from udfs.package.model_package import NAME_RULE, is_name

JUDGED_PART = "devel"  # its F1 chooses the best epoch and the best seed; test's F1 never does


@dataclass(frozen=True)
class TrainingRequest:
    """What to train, on what, and where the package goes. `base_model` None: the installed one.

    `checkpoint_steps` is the number of steps between two checkpoints inside an epoch (0: no
    checkpoints there); each epoch ends with a checkpoint anyway. `resume` continues from the last
    checkpoint, if there is one. `teachers` are model packages; `unlabelled` are texts without
    annotations, on which only the teachers say what is right. `terms` are names by label, for
    example of a dictionary, that may replace mentions in training.
    """

    corpora: tuple[str, ...]
    train_parts: tuple[str, ...]
    score_parts: tuple[str, ...]
    output: Path
    name: str
    command: str
    base_model: Path | None = None
    threads: int = 1
    device: str = "cpu"
    label_maps: Mapping[str, LabelMap] = field(default_factory=dict)
    checkpoint_steps: int = 500
    resume: bool = False
    teachers: tuple[Path, ...] = ()
    unlabelled: tuple[str, ...] = ()
    terms: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unlabelled and not self.teachers:
            raise InputError("unlabelled texts teach nothing without a --teacher: give one")
        if len(set(self.teachers)) < len(self.teachers):
            raise InputError("a teacher is named twice; name each once")
        both = sorted(set(self.train_parts) & set(self.score_parts))
        if both:
            raise InputError(
                f"part {', '.join(both)} is trained on, so its scores would say nothing; "
                "name another with --score-parts, or none"
            )
        if self.threads < 1:
            raise InputError(f"threads {self.threads} must be at least 1")
        if self.checkpoint_steps < 0:
            raise InputError(f"checkpoint_steps {self.checkpoint_steps} must be at least 0")
        if not is_name(self.name):
            raise InputError(f"the name {self.name!r} of the model {NAME_RULE}; give --name")

    @property
    def mix(self) -> CorpusMix:
        """The corpora with their label maps."""
        return CorpusMix(self.corpora, self.label_maps)

    def check_judged(self, why: str) -> None:
        """Refuses a request that does not score `JUDGED_PART`, whose F1 makes a choice.

        Args:
            why: what chooses by that F1, for the message.

        Raises:
            InputError: `JUDGED_PART` is not among the scored parts.
        """
        if JUDGED_PART not in self.score_parts:
            raise InputError(
                f"{why} chooses by the F1 on {JUDGED_PART}: give --score-parts {JUDGED_PART}, and "
                "do not train on it"
            )


def split_parts(parts: str) -> tuple[str, ...]:
    """`"train,devel"` -> ("train", "devel"); `"none"` -> ()."""
    names = (part.strip() for part in parts.split(","))
    return () if parts == "none" else tuple(name for name in names if name)
