"""Word vectors of others -> a folder that spaCy's training reads.

Owns the files of word2vec, binary (`.bin`, as of PubMed-w2v and BioWordVec) and text. The first
line has two numbers: how many words there are, and how many numbers each has. In a binary file each
word then has its bytes, a space, and 32-bit floats (little-endian); in a text file it has a line.
Format: `word2vec.c` (Mikolov et al. 2013). Vectors of a spaCy pipeline are read from its files; no
code of it is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from training.spacy_models.spacy_folders import find_pipeline
from udfs.errors import InputError

BINARY, TEXT = ".bin", (".txt", ".vec")
LONGEST_WORD = 1000  # bytes; a file with a longer word is not a word2vec file
WIDEST = 10_000


@dataclass(frozen=True)
class WordVectors:
    """Where vectors come from: a word2vec file or a spaCy pipeline.

    The first `limit` words of a file are taken, which are the most frequent; of a pipeline, all.
    """

    path: Path
    origin: str
    limit: int

    @property
    def is_word2vec(self) -> bool:
        """Whether the source is a word2vec file."""
        return self.path.is_file()


def find_vectors(name: str, limit: int) -> WordVectors:
    """Finds a word2vec file, a folder of a spaCy pipeline, or an installed package of one.

    Raises:
        InputError: `name` is none of these, the file has another suffix, or `limit` is below 1.
    """
    if limit < 1:
        raise InputError(f"vector words {limit} must be at least 1")
    path = Path(name)
    if path.is_file():
        if path.suffix not in (BINARY, *TEXT):
            raise InputError(f"{path} must be of word2vec: {BINARY} (binary), {' or '.join(TEXT)}")
        return WordVectors(path, path.name, limit)
    folder = find_pipeline(name)
    if folder is None:
        raise InputError(
            f"--vectors {name} must be a file of word2vec, a folder of spaCy's with config.cfg, or "
            "an installed package of spaCy's"
        )
    return WordVectors(folder, folder.name, limit)


def write_vectors(vectors: WordVectors, folder: Path) -> Path:
    """Writes a blank spaCy pipeline with these vectors, from which a training is initialised.

    Raises:
        InputError: the file is damaged, or there are no vectors.
    """
    import spacy
    from spacy.vectors import Vectors  # type: ignore[import-not-found]  # compiled, without a stub

    nlp = spacy.blank("en")
    if vectors.is_word2vec:
        words, numbers = read_word2vec(vectors.path, vectors.limit)
        nlp.vocab.vectors = Vectors(strings=nlp.vocab.strings, data=numbers, keys=words)
    else:
        try:
            nlp.vocab.vectors.from_disk(vectors.path / "vocab", exclude=["strings"])
        except Exception as error:  # numpy, srsly and spaCy each raise their own
            raise InputError(
                f"the vectors in {vectors.path} cannot be read ({type(error).__name__})"
            ) from None
    if not nlp.vocab.vectors.size:
        raise InputError(f"{vectors.path} has no word vectors")
    nlp.to_disk(folder)
    return folder


def read_word2vec(path: Path, limit: int) -> tuple[list[str], NDArray[np.float32]]:
    """The first `limit` words of a word2vec file, and their vectors as `(words, numbers)`.

    If a word stands twice, its first vector is taken. Words that are not UTF-8 are left out.

    Raises:
        InputError: the file is not a word2vec file, or is cut off.
    """
    try:
        with path.open("rb") as file:
            count, width = _header(path, file)
            read = _binary if path.suffix == BINARY else _text
            found: dict[str, NDArray[np.float32]] = {}
            for word, numbers in read(path, file, min(count, limit), width):
                if word is not None:
                    found.setdefault(word, numbers)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__})") from None
    if not found:
        raise InputError(f"{path} has no word vectors")
    return list(found), np.stack(list(found.values()))


def _header(path: Path, file: BinaryIO) -> tuple[int, int]:
    first = file.readline(LONGEST_WORD).split()
    if len(first) != 2 or not all(number.isdigit() for number in first):
        raise InputError(f"{path}: the first line must be two numbers, of words and of their width")
    count, width = int(first[0]), int(first[1])
    if not 1 <= width <= WIDEST:
        raise InputError(f"{path}: vectors of {width} numbers, it must be from 1 to {WIDEST}")
    return count, width


_Entry = tuple[str | None, NDArray[np.float32]]


def _binary(path: Path, file: BinaryIO, count: int, width: int) -> Iterator[_Entry]:
    for number in range(1, count + 1):
        word = bytearray()
        while (byte := file.read(1)) != b" ":
            if not byte or len(word) > LONGEST_WORD:
                raise _broken(path, number)
            if byte != b"\n":  # some writers end a vector with a newline, some do not
                word += byte
        data = file.read(4 * width)
        if len(data) < 4 * width:
            raise _broken(path, number)
        yield _word(bytes(word)), np.frombuffer(data, "<f4")


def _text(path: Path, file: BinaryIO, count: int, width: int) -> Iterator[_Entry]:
    for number in range(1, count + 1):
        fields = file.readline().rstrip(b" \r\n").rsplit(b" ", width)
        try:
            values = np.array([float(value) for value in fields[1:]], dtype="<f4")
        except ValueError:
            raise _broken(path, number) from None
        if len(values) != width or not fields[0]:
            raise _broken(path, number)
        yield _word(fields[0]), values


def _word(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _broken(path: Path, number: int) -> InputError:
    return InputError(f"{path}: word {number} is cut off or has no such vector; fetch it again")
