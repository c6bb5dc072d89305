"""What is done with the mentions of a note: a list of steps, each from mentions to mentions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from udfs.spans import Mention


@dataclass(frozen=True, slots=True)
class AnnotationSettings:
    """Settings that change the entity rows of a note without any new inference.

    `model` is the name that is written into the rows. `entity_types` maps a label in lower case to
    the common vocabulary. `labels` are the only labels that are kept (None: all). `min_score` is in
    [0, 1].
    """

    model: str
    entity_types: Mapping[str, str] = field(default_factory=dict)
    labels: frozenset[str] | None = None
    min_score: float = 0.0


Step = Callable[[str, list[Mention], AnnotationSettings], list[Mention]]


def _keep_labels(text: str, mentions: list[Mention], settings: AnnotationSettings) -> list[Mention]:
    wanted = settings.labels
    return mentions if wanted is None else [m for m in mentions if m.label in wanted]


def _keep_scores(text: str, mentions: list[Mention], settings: AnnotationSettings) -> list[Mention]:
    return [m for m in mentions if m.score >= settings.min_score]


STEPS: tuple[Step, ...] = (_keep_labels, _keep_scores)
