"""Corpora by name: `FORM:PATH` → documents, and documents → `FORM:PATH`.

Owns the table of forms, the parts of a corpus and where they lie. Writes a corpus whole or not at
all. What a file of a form looks like stands in `training/corpora/forms/`, what a document is in
`training/corpora/documents.py`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.corpora.documents import COVER, REFUSE, Document, resolve_discontinuous
from training.corpora.forms.losses import Losses
from training.corpora.forms.published.i2b2_2009 import read_i2b2_2009
from training.corpora.forms.published.i2b2_2010 import read_i2b2_2010
from training.corpora.forms.published.n2c2 import read_n2c2
from training.corpora.forms.published.pubtator import NCBI_DISEASE, read_medmentions, read_pubtator
from training.corpora.forms.source_lines import refuse_repeated_ids
from training.corpora.forms.tools.brat import read_brat
from training.corpora.forms.tools.brat_writer import write_brat
from training.corpora.forms.tools.columns import IOB1, read_bc5cdr_tsv, read_conll
from training.corpora.forms.tools.conll_writer import write_conll
from training.corpora.forms.tools.docbin import read_docbin, write_docbin
from training.corpora.forms.tools.doccano import read_doccano, write_doccano
from training.corpora.forms.tools.inline import read_inline
from training.corpora.forms.tools.label_studio import read_label_studio, write_label_studio
from training.corpora.forms.tools.spacy_json import read_spacy_json
from training.corpora.forms.tools.span_json import read_span_json, write_span_json
from udfs.errors import InputError

DATA_VARIABLE = "CLINSPAN_DATA"
PARTS = ("train", "devel", "test")

_PartReader = Callable[[Path, str | None, Counter[str]], list[Document]]
_Reader = Callable[[Path, Counter[str]], list[Document]]
_Writer = Callable[[Sequence[Document], Path], Losses]


@dataclass(frozen=True)
class Reading:
    """Documents, and counts by kind of what the reader decoded or left out."""

    documents: list[Document]
    met: Counter[str]


@dataclass(frozen=True)
class Form:
    """How a form is read and, if it can be written, how it is written.

    `place` says what PATH is. `read` takes the path, a part (None: all of the corpus), and a
    counter of what it decodes or leaves out. `discontinuous` is the policy of training and scoring
    for discontinuous mentions.
    """

    place: str
    read: _PartReader
    write: _Writer | None = None
    holds_discontinuous: bool = False
    discontinuous: str = REFUSE


def default_corpus() -> str:
    """BC5CDR in the data folder: $CLINSPAN_DATA, else `shared/data` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return f"bc5cdr:{Path(os.environ.get(DATA_VARIABLE, beside)) / 'bc5cdr'}"


def read_corpus(spec: str, parts: Sequence[str]) -> list[Document]:
    """The documents of `parts`, in their order, to train or score on.

    Every mention has one piece and is not empty. A discontinuous mention of `n2c2` becomes the span
    from its first to its last character, which is said to be what the corpus's own scorer reads.
    `bc5cdr` takes the PubTator files (exact offsets) where the folder has them, else the tsv files;
    `bc5cdr-tsv` takes the tsv files.

    Args:
        spec: the form and the path of the corpus, such as `bc5cdr:FOLDER`.
        parts: one or more of `PARTS`.

    Raises:
        InputError: a form, part, folder or file is unknown, a line is broken, or a mention is
            discontinuous or empty.
    """
    form, _ = _form_and_path(spec)
    unknown_parts = [part for part in parts if part not in PARTS]
    if unknown_parts or not parts:
        raise InputError(f"corpus parts {list(parts)} must be one or more of {', '.join(PARTS)}")
    documents = [document for part in parts for document in read_part(spec, part).documents]
    empty = sum(span.begin == span.end for document in documents for span in document.spans)
    if empty:
        raise InputError(f"corpus {spec!r}: {empty} mentions are empty, so nothing can be learnt")
    return resolve_discontinuous(documents, FORMS[form].discontinuous)


def read_part(spec: str, part: str | None = None) -> Reading:
    """Reads a part of a corpus as it is annotated, or all of it.

    A form that belongs to one corpus knows where the parts lie; with None it reads all parts that
    are there. With any other form, a part is a folder named `train`, `devel` or `test` below the
    path, or a file of that name with the suffix of the form; with None it reads the path itself.

    Raises:
        InputError: a form, part, folder or file is unknown, a line is broken, or two documents have
            the same id.
    """
    form, path = _form_and_path(spec)
    if not path.is_dir() and (FORMS[form].place == FOLDER or not path.exists()):
        what = "a folder" if FORMS[form].place == FOLDER else "there"
        raise InputError(f"corpus {spec!r}: {path} is not {what}; known forms: {_known()}")
    if part is None and FORMS[form].place == FILE and path.is_dir():
        raise InputError(f"corpus {spec!r}: {path} is a folder: name a file, or a part of it")
    met: Counter[str] = Counter()
    documents = FORMS[form].read(path, part, met)
    refuse_repeated_ids(path, documents)
    return Reading(documents, +met)


def write_corpus(spec: str, documents: Sequence[Document]) -> Losses:
    """Writes `FORM:PATH` and returns how much the form cannot hold, by kind.

    PATH appears only when all is written; only its owner can read it.

    Raises:
        InputError: the form cannot be written, PATH exists, or a mention is discontinuous and the
            form holds only mentions in one piece (see `resolve_discontinuous`).
    """
    form, path = _form_and_path(spec)
    write = FORMS[form].write
    if write is None:
        writable = ", ".join(name for name in FORMS if FORMS[name].write is not None)
        raise InputError(f"form {form} can be read only; forms that can be written: {writable}")
    if path.exists():
        raise InputError(f"{path} exists: name a new place or remove it")
    if not FORMS[form].holds_discontinuous:
        documents = resolve_discontinuous(documents, REFUSE)
    path.parent.mkdir(parents=True, exist_ok=True)
    private = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        draft = private / path.name
        if FORMS[form].place == FOLDER:
            draft.mkdir()
        losses = write(documents, draft)
        draft.chmod(0o700 if draft.is_dir() else 0o600)
        draft.replace(path)
    finally:
        shutil.rmtree(private)
    return losses


def _form_and_path(spec: str) -> tuple[str, Path]:
    form, separator, path = spec.partition(":")
    if not separator or form not in FORMS or not path:
        raise InputError(f"corpus {spec!r} is unknown; known: {_known()}")
    return form, Path(path)


def _known() -> str:
    return ", ".join(f"{name}:{form.place}" for name, form in FORMS.items())


def _from_part_files(locate: Callable[[Path, str], Path], read: _Reader) -> _PartReader:
    """The reader of a corpus whose parts lie in known files; None reads all that are there."""

    def read_parts(folder: Path, part: str | None, met: Counter[str]) -> list[Document]:
        if part is not None:
            return read(locate(folder, part), met)
        files = [file for file in (locate(folder, part) for part in PARTS) if file.is_file()]
        if not files:
            raise InputError(f"corpus file {locate(folder, PARTS[0])} is missing")
        return [document for file in files for document in read(file, met)]

    return read_parts


def _from_path(read: _Reader, *suffixes: str) -> _PartReader:
    """The reader of any corpus whose parts are folders, or files with one of the suffixes."""

    def read_parts(path: Path, part: str | None, met: Counter[str]) -> list[Document]:
        if part is None:
            return read(path, met)
        wanted = [path / f"{part}{suffix}" for suffix in ("", *suffixes)]
        found = [place for place in wanted if place.exists()]
        if len(found) != 1:
            names = ", ".join(place.name for place in wanted)
            raise InputError(f"{path} must hold one of {names}, but holds {len(found)}")
        return read(found[0], met)

    return read_parts


_BC5CDR_FILES = {"train": "Training", "devel": "Development", "test": "Test"}
_NCBI_FILES = {"train": "train", "devel": "develop", "test": "test"}


def _tsv_file(folder: Path, part: str) -> Path:
    return folder / f"{part}.tsv"


def _bc5cdr_file(folder: Path, part: str) -> Path:
    pubtator = folder / "pubtator"
    if pubtator.is_dir():
        return pubtator / f"CDR_{_BC5CDR_FILES[part]}Set.PubTator.txt"
    return _tsv_file(folder, part)


def _ncbi_file(folder: Path, part: str) -> Path:
    original = folder / "original"
    name = f"NCBI{_NCBI_FILES[part]}set_corpus.txt"
    return (original if original.is_dir() else folder) / name


def _read_bc5cdr(file: Path, met: Counter[str]) -> list[Document]:
    return read_pubtator(file, met) if file.suffix == ".txt" else read_bc5cdr_tsv(file)


def _read_tsv(file: Path, met: Counter[str]) -> list[Document]:
    return read_bc5cdr_tsv(file)


def _read_ncbi(file: Path, met: Counter[str]) -> list[Document]:
    return read_pubtator(file, met, NCBI_DISEASE)


FOLDER, FILE, PATH = "FOLDER", "FILE", "PATH"
FORMS: dict[str, Form] = {
    "bc5cdr": Form(FOLDER, _from_part_files(_bc5cdr_file, _read_bc5cdr)),
    "bc5cdr-tsv": Form(FOLDER, _from_part_files(_tsv_file, _read_tsv)),
    "ncbi-disease": Form(FOLDER, _from_part_files(_ncbi_file, _read_ncbi)),
    "ncbi-disease-tsv": Form(FOLDER, _from_part_files(_tsv_file, _read_tsv)),
    "medmentions": Form(PATH, read_medmentions),
    "pubtator": Form(FILE, _from_path(read_pubtator, ".txt")),
    "brat": Form(FOLDER, _from_path(read_brat), write_brat, holds_discontinuous=True),
    # The corpus's scorer (track2-evaluate), as we remember it, reads only the first and the last
    # offset of a mention.
    "n2c2": Form(FOLDER, read_n2c2, discontinuous=COVER),
    "i2b2-2010": Form(FOLDER, _from_path(read_i2b2_2010)),
    "i2b2-2009": Form(FOLDER, _from_path(read_i2b2_2009)),
    "conll": Form(FILE, _from_path(read_conll, ".conll", ".tsv", ".txt"), write_conll),
    "conll-iob1": Form(
        FILE, _from_path(partial(read_conll, scheme=IOB1), ".conll", ".tsv", ".txt")
    ),
    "doccano": Form(FILE, _from_path(read_doccano, ".jsonl"), write_doccano),
    "doccano-utf16": Form(
        FILE,
        _from_path(partial(read_doccano, utf16=True), ".jsonl"),
        partial(write_doccano, utf16=True),
    ),
    "label-studio": Form(FILE, _from_path(read_label_studio, ".json"), write_label_studio),
    "label-studio-utf16": Form(
        FILE,
        _from_path(partial(read_label_studio, utf16=True), ".json"),
        partial(write_label_studio, utf16=True),
    ),
    "span-json": Form(
        FILE,
        _from_path(read_span_json, ".json", ".jsonl"),
        write_span_json,
        holds_discontinuous=True,
    ),
    "spacy-json": Form(FILE, _from_path(read_spacy_json, ".json", ".jsonl")),
    "docbin": Form(FILE, _from_path(read_docbin, ".spacy"), write_docbin),
    "inline": Form(PATH, _from_path(read_inline, ".txt")),
}
