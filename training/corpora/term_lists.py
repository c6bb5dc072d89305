"""Lists of terms, such as a dictionary's names of drugs, by the label that a model gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from training.corpora.unlabelled_text import read_texts
from udfs.errors import InputError


def read_terms(options: Sequence[str]) -> dict[str, list[str]]:
    """`["Chemical=drugs.txt", ...]` -> label -> its terms, each once, in the order of the files.

    Each line is a term; white space around it and empty lines are left out.

    Raises:
        InputError: an option is not LABEL=FILE, a file is missing, or it has no term.
    """
    terms: dict[str, dict[str, None]] = {}
    for option in options:
        label, is_there, file = option.partition("=")
        if not (label and is_there and file):
            raise InputError(f"terms {option!r} must be LABEL=FILE, such as Chemical=drugs.txt")
        lines = read_texts([Path(file)], "text", each_line=True)
        stripped = (line.strip() for line in lines)
        terms.setdefault(label, {}).update(dict.fromkeys(term for term in stripped if term))
    return {label: list(found) for label, found in terms.items()}


def check_terms(terms: Mapping[str, Sequence[str]], labels: Sequence[str]) -> None:
    """Refuses terms of a label that the model does not have.

    Raises:
        InputError: there are such terms.
    """
    if unknown := sorted(set(terms) - set(labels)):
        raise InputError(
            f"there are terms of {', '.join(unknown)}, but the labels of the corpora are "
            f"{', '.join(labels)}"
        )
