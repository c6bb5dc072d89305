"""Flags that the training jobs share: data and places, and one for each setting of a recipe.

Imports no torch, so that --help does not wait for it.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Protocol, TypeVar

from training.corpora.form_table import PARTS, default_corpus

Settings = TypeVar("Settings")


class FlagAdder(Protocol):
    """A parser, or a group of flags in one."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Adds one flag, as argparse does."""
        ...


def add_data_options(to: FlagAdder) -> None:
    """Adds flags for the package's place and name, and for the corpora it is trained on."""
    add = to.add_argument
    add("--output", metavar="FOLDER", type=Path, required=True, help="new folder for the package")
    add("--name", help="name of the model (default: that of the folder)")
    add(
        "--corpus",
        metavar="FORM:FOLDER",
        action="append",
        help=f"an annotated corpus; may be given several times (default: {default_corpus()})",
    )
    add(
        "--label-map",
        metavar="FILE",
        type=Path,
        help="YAML that says for a corpus which label of the model each of its labels is, or null",
    )
    add(
        "--train-parts",
        metavar="PARTS",
        default="train",
        help=f"of {', '.join(PARTS)}, with commas",
    )


def add_settings(to: FlagAdder, kind: type[Any]) -> None:
    """Adds a flag for each setting of a recipe (see `training.recipes.recipe.setting`)."""
    for one in dataclasses.fields(kind):
        flag = "--" + one.name.replace("_", "-")
        meaning = one.metadata["meaning"].replace("%", "%%")  # argparse formats help with %
        if isinstance(one.default, bool):
            to.add_argument(
                flag, action=argparse.BooleanOptionalAction, default=one.default, help=meaning
            )
        else:
            of = type(one.default)
            to.add_argument(flag, metavar="X", type=of, default=one.default, help=meaning)


def read_settings(arguments: argparse.Namespace, kind: type[Settings]) -> Settings:
    """The recipe that the flags of `add_settings` give; the recipe refuses impossible values."""
    names = [one.name for one in dataclasses.fields(kind)]  # type: ignore[arg-type]  # a dataclass
    return kind(**{name: getattr(arguments, name) for name in names})
