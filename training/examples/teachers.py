"""Packages that a student learns from: whether they fit the student, and what identifies them.

Knows no torch. training.package.ancestry owns which packages are the student's ancestors.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.corpora.unlabelled_text import digest_texts
from udfs.decoding.label_scheme import BIO
from udfs.errors import InputError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, TOKENIZER, load_manifest


@dataclass(frozen=True)
class Teaching:
    """The teachers, and the unlabelled texts that they teach on beside the labelled ones."""

    teachers: tuple[Path, ...]
    unlabelled: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """Plain values that tell this teaching from every other."""
        return {
            "teachers": [load_manifest(folder).fingerprint for folder in self.teachers],
            "unlabelled_digest": digest_texts(self.unlabelled) if self.unlabelled else "",
        }


def check_teachers(
    teaching: Teaching, base_model: Path, tags: Sequence[str], max_wordpieces: int
) -> None:
    """Checks that every teacher fits the student.

    Raises:
        InputError: a teacher has other tags or word-pieces than the student, or shorter inputs.
        ModelPackageError: a teacher is no whole package.
    """
    wordpieces = _wordpieces(base_model)
    for folder in teaching.teachers:
        manifest = load_manifest(folder)
        longest = EncoderConfig.from_file(folder / CONFIG).longest_piece
        if manifest.label_scheme != BIO or list(manifest.labels) != list(tags):
            raise InputError(
                f"teacher {folder} has the tags {', '.join(manifest.labels)}, the student "
                f"{', '.join(tags)}: a teacher must have the same; take one of the same labels"
            )
        if _wordpieces(folder) != wordpieces:
            raise InputError(
                f"teacher {folder} cuts words into other word-pieces than base model {base_model}: "
                "a teacher must have the student's tokenizer; take one of the same base model"
            )
        if longest < max_wordpieces:
            raise InputError(
                f"max_wordpieces {max_wordpieces} must not exceed the {longest} positions of "
                f"teacher {folder}"
            )


def _wordpieces(folder: Path) -> dict[str, Any]:
    rules: dict[str, Any] = json.loads((folder / TOKENIZER).read_text(encoding="utf-8"))
    # Truncation and padding are set by the package; two tokenizers may differ in them.
    return {key: value for key, value in rules.items() if key not in ("truncation", "padding")}
