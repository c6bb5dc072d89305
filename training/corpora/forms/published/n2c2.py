"""n2c2 2018 track 2 as it is distributed: brat standoff in a training and a test folder.

Owns where the parts lie, and the development part. The corpus has none, so we take the training
documents whose id has a sha256 that is divisible by ten. Adding or removing documents moves no
other document to another part.
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
DEVELOPMENT_SHARE = 10  # one training document in ten is in the development part


def read_n2c2(folder: Path, part: str | None, met: Counter[str]) -> list[Document]:
    """The documents of a part; None reads both folders, or the one that is there.

    Raises:
        InputError: a folder is missing, or a file breaks brat's rules.
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
    # An unpacked archive may hold one inner folder, and beside it the __MACOSX folder that macOS
    # adds to archives.
    place = found[0]
    if any(place.glob("*.txt")):
        return place
    inner = [path for path in sorted(place.iterdir()) if path.is_dir() and any(path.glob("*.txt"))]
    inner = [path for path in inner if path.name != "__MACOSX"]
    return inner[0] if len(inner) == 1 else place
