"""n2c2 2018 track 2 as its holders have it: brat standoff in a training and a test folder.

Owns where the parts lie, and the development part, which the corpus lacks: the training documents
of which the sha256 of the id is divisible by ten. Adding or leaving out documents moves no other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from training.corpora.documents import Document
from training.corpora.forms.tools.brat import read_brat
from udfs.errors import InputError

TRAINING, TEST = "training_20180910", "test"
# The archive of the test part, gold-standard-test-data.zip, is unpacked in several ways.
_FOLDERS = {
    TRAINING: (TRAINING, "training", "train"),
    TEST: (TEST, "gold-standard-test-data", "test_data"),
}
DEVELOPMENT_SHARE = 10  # one document in so many


def read_n2c2(folder: Path, part: str | None, met: Counter[str]) -> list[Document]:
    """The documents of a part; None is both folders, as far as they are there.

    Raises InputError where a folder is missing, or for a file that breaks brat's rules.
    """
    if part is None:
        there = [kind for kind in _FOLDERS if _candidates(folder, kind)]
        wanted = there or [TRAINING]
        return [doc for kind in wanted for doc in read_brat(_find(folder, kind), met)]
    if part == "test":
        return read_brat(_find(folder, TEST), met)
    documents = read_brat(_find(folder, TRAINING), met)
    return [doc for doc in documents if is_development(doc.doc_id) == (part == "devel")]


def is_development(doc_id: str) -> bool:
    """Whether a training document belongs to the development part."""
    digest = hashlib.sha256(doc_id.encode("utf-8")).digest()
    return int.from_bytes(digest, "big") % DEVELOPMENT_SHARE == 0


def _candidates(folder: Path, kind: str) -> list[Path]:
    return [folder / name for name in _FOLDERS[kind] if (folder / name).is_dir()]


def _find(folder: Path, kind: str) -> Path:
    found = _candidates(folder, kind)
    if len(found) != 1:
        raise InputError(
            f"{folder} must hold one of the folders {', '.join(_FOLDERS[kind])}, "
            f"but holds {len(found)}"
        )
    # An archive may have a folder of its own inside, and what a Mac adds to archives beside it.
    place = found[0]
    if any(place.glob("*.txt")):
        return place
    inner = [path for path in sorted(place.iterdir()) if path.is_dir() and any(path.glob("*.txt"))]
    inner = [path for path in inner if path.name != "__MACOSX"]
    return inner[0] if len(inner) == 1 else place
