"""The state from which a killed training goes on: one hidden folder beside its output.

Owns the files: tensors as safetensors, the rest as JSON, nothing pickled. `state.json` names the
file of tensors and is replaced last, so a run that is killed while it writes leaves the previous
state. Knows nothing of what the values mean.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from udfs.errors import InputError

STATE = "state.json"
FORMAT_VERSION = 1


def work_folder(output: Path) -> Path:
    """The hidden folder that keeps the state of a training until its output is written."""
    return output.parent / f".{output.name}.training"


@dataclass(frozen=True)
class SavedState:
    """A state as it was saved: plain values, and tensors by name, on the CPU."""

    values: dict[str, Any]
    tensors: dict[str, Tensor]


class Checkpoints:
    """The states of one training.

    Args:
        folder: see `work_folder`; made when something is first kept.
        identity: plain values (settings, digests) that tell this training from every other.
        every_steps: steps between two states inside an epoch; 0: no state inside an epoch.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], every_steps: int = 0) -> None:
        self.folder = folder
        self.every_steps = every_steps
        self._identity = json.loads(json.dumps(dict(identity)))

    def save(self, step: int, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replaces the saved state with this one."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.folder / f"step-{step}.safetensors"
        _write_tensors(file, tensors)
        content = {
            "format_version": FORMAT_VERSION,
            "identity": self._identity,
            "tensors": file.name,
            "values": dict(values),
        }
        draft = self.folder / f"{STATE}.draft"
        draft.write_text(json.dumps(content), encoding="utf-8")
        os.replace(draft, self.folder / STATE)
        for older in self.folder.glob("step-*.safetensors"):
            if older != file:
                older.unlink()

    def load(self) -> SavedState | None:
        """The state, or None where there is none.

        Raises:
            InputError: the state is another training's, or damaged.
        """
        if not (self.folder / STATE).is_file():
            return None
        try:
            content = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
            if content["format_version"] != FORMAT_VERSION:
                raise KeyError("format_version")
            self._check_identity(content["identity"])
            tensors = load_file(self.folder / Path(content["tensors"]).name)
            return SavedState(content["values"], tensors)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(
                f"checkpoint {self.folder} cannot be read ({type(error).__name__}): remove the "
                "folder, and train from the beginning"
            ) from None

    def _check_identity(self, saved: Mapping[str, Any]) -> None:
        names = sorted({*saved, *self._identity})
        differing = [name for name in names if saved.get(name) != self._identity.get(name)]
        if differing:
            told = "; ".join(
                f"{name} was {saved.get(name)!r}, now {self._identity.get(name)!r}"
                for name in differing
            )
            raise InputError(
                f"checkpoint {self.folder} is of another training: {told}; give the same again, "
                "name another --output, or remove the folder"
            )

    def note(self, name: str) -> str | None:
        """What `keep_note` kept under this name; None if nothing."""
        file = self.folder / f"{name}.txt"
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def keep_note(self, name: str, value: str) -> None:
        """Keeps a short text beside the states, also before there is a state."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / f"{name}.txt").write_text(value, encoding="utf-8")

    def keep_weights(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """Keeps weights beside the states, such as those of the best epoch."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_tensors(self.folder / f"{name}.safetensors", weights)

    def kept_weights(self, name: str) -> dict[str, Tensor]:
        """The weights that `keep_weights` kept under this name."""
        return load_file(self.folder / f"{name}.safetensors")

    def forget_weights(self, name: str) -> None:
        """Removes the weights that `keep_weights` kept under this name."""
        (self.folder / f"{name}.safetensors").unlink(missing_ok=True)


def check_unfinished(output: Path, resume: bool) -> None:
    """Checks that no unfinished training of this output would be lost.

    Raises:
        InputError: there is one, and `resume` does not say to go on with it.
    """
    if work_folder(output).exists() and not resume:
        raise InputError(
            f"a training of {output} was not finished: --resume goes on with it, or remove "
            f"{work_folder(output)}"
        )


def remove_work_folder(output: Path) -> None:
    """Removes what a training kept, when its output is written or it cannot succeed."""
    shutil.rmtree(work_folder(output), ignore_errors=True)


def _write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    draft = file.with_name(f"{file.name}.draft")
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, draft)
    os.replace(draft, file)
