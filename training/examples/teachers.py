"""Packages that a student learns from: whether they fit it, and what is told of them afterwards.

Owns who counts as an ancestor: a teacher, the package that training began with, one that was
averaged, and theirs in turn. What they were trained on is what the student has seen
(`seen_parts.py`). Knows no torch.
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
    """Who teaches, and on which texts beside the labelled ones."""

    teachers: tuple[Path, ...]
    unlabelled: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this teaching and no other, as plain values."""
        return {
            "teachers": [load_manifest(folder).fingerprint for folder in self.teachers],
            "unlabelled_digest": digest_texts(self.unlabelled) if self.unlabelled else "",
        }


def check_teachers(
    teaching: Teaching, base_model: Path, tags: Sequence[str], max_wordpieces: int
) -> None:
    """Raises InputError where a teacher has other tags or word-pieces than the student, or its
    inputs are shorter; ModelPackageError where it is no whole package.
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
    # How an input is cut and filled up is the package's, not the tokenizer's.
    return {key: value for key, value in rules.items() if key not in ("truncation", "padding")}
