"""CSV files of notes → records, with every character as it stands.

RFC 4180 as MIMIC uses it: commas, quoted fields over many lines, quotes doubled, gzip or bzip2 or
neither, UTF-8. This uses Python's reader, because Spark's silently turns CRLF inside quotes into LF
(where rows end in CRLF) and bytes that are not UTF-8 into U+FFFD. One task reads a whole file; a
compressed file could not be split anyway. The module does not know which column is which.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pyarrow as pa

from udfs.errors import InputError
from udfs.reading.source_records import INVALID_UTF8, NOT_UTF8, SourceRecord, to_batches

if TYPE_CHECKING:
    from _csv import Reader

WRONG_FIELDS = "wrong_number_of_fields"
BROKEN_QUOTES = "broken_quotes"
BROKEN_FILE = "broken_file"
# After one of these, records can no longer be told apart: it is the last record of its file.
FATAL = (BROKEN_QUOTES, BROKEN_FILE)

# Most characters in one field; else a quote that is never closed would take the rest of the file.
FIELD_LIMIT = 100_000_000
READ_BYTES = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What a cut or damaged file raises while it is read.
READ_ERRORS = (OSError, EOFError, zlib.error)
# The name of a column. A first row that is no header is a note: it must be told from names, and
# never be shown.
_NAME = re.compile(r"[^\W\d][\w .:/#%()-]{0,63}|")


def open_csv(path: Path) -> BinaryIO:
    """Opens a file and gives its unpacked bytes, without a byte order mark.

    Raises:
        InputError: it cannot be opened, or it is packed other than by gzip or bzip2.
    """
    try:
        with path.open("rb") as packed:
            begin = packed.read(4)
        if begin.startswith((b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zX")):
            raise InputError(
                f"{path.name} is packed in a way that is not read: unpack it, or use gzip or bzip2"
            )
        if begin.startswith(b"\x1f\x8b"):
            opened: object = gzip.GzipFile(path)
        elif begin.startswith(b"BZh"):
            opened = bz2.BZ2File(path)
        else:
            opened = path.open("rb", buffering=0)
        content = io.BufferedReader(cast(io.RawIOBase, opened), READ_BYTES)
        if content.peek(3).startswith(BYTE_ORDER_MARK):
            content.read(3)
    except READ_ERRORS as error:
        why = getattr(error, "strerror", None) or f"cut off or damaged: {type(error).__name__}"
        raise InputError(f"{path.name} cannot be read ({why})") from None
    return content


def read_header(path: Path) -> tuple[str, ...]:
    """The names in a file's first row; an empty name becomes `_c` and its index, such as `_c0`.

    Raises:
        InputError: the file is empty or damaged, or its first row is no header.
    """
    first = _first_row(path)
    if not first:
        raise InputError(f"{path.name} is empty: a CSV file has a header and a row for each note")
    if not any(first) or not all(_NAME.fullmatch(name) for name in first):
        raise InputError(
            f"{path.name} does not begin with a header: the first row must hold the names of the "
            "columns, with commas between them, in UTF-8"
        )
    names = tuple(name or f"_c{place}" for place, name in enumerate(first))
    if len({name.lower() for name in names}) < len(names):
        raise InputError(f"{path.name} has two columns of one name but for case; rename one")
    return names


def header_size(path: Path) -> int:
    """The content of a file's first row in bytes, as `SourceRecord.size` counts it."""
    return _size(_first_row(path))[0]


def _first_row(path: Path) -> list[str]:
    try:
        return next((row for row in _reader(path) if row), [])
    except (csv.Error, *READ_ERRORS):
        return [""]


def read_records(path: Path, width: int) -> Iterator[SourceRecord]:
    """The records after the header, in the order of the file; blank lines are skipped.

    An empty field is null: CSV has no other way to write null. A record that cannot be read is
    refused with the reason. A record with a reason of `FATAL` is the last.
    """
    number, line, fault = 0, 1, None
    reader = _reader(path)
    try:
        for fields in reader:
            if fields:
                if number:  # 0 is the header
                    yield _record(path.name, number, line, fields, width)
                number += 1
            line = reader.line_num + 1
    except csv.Error as error:
        fault = (
            BROKEN_QUOTES,
            f"a quote is not closed or not doubled, seen in line {reader.line_num}",
        )
        if "field limit" in str(error):
            fault = (BROKEN_QUOTES, f"a field has more than {FIELD_LIMIT:,} characters")
    except READ_ERRORS as error:
        fault = (BROKEN_FILE, f"the file is cut off or damaged ({type(error).__name__})")
    if fault is not None:
        yield SourceRecord(path.name, number, line, 0, *fault)


def csv_batches(
    batches: Iterable[pa.RecordBatch], paths: Sequence[str], width: int
) -> Iterator[pa.RecordBatch]:
    """`id`, an index in `paths` → rows of `source_records.record_schema` for that file."""
    for batch in batches:
        for index in batch.column("id"):
            yield from to_batches(read_records(Path(paths[index.as_py()]), width), width)


def _reader(path: Path) -> Reader:
    csv.field_size_limit(FIELD_LIMIT)
    # Without newline="" each CRLF inside a note would become LF.
    text = io.TextIOWrapper(open_csv(path), encoding="utf-8", errors="surrogateescape", newline="")
    return csv.reader(text, strict=True)


def _record(file: str, row: int, line: int, fields: list[str], width: int) -> SourceRecord:
    size, is_utf8 = _size(fields)
    if len(fields) != width:
        detail = f"{len(fields)} fields, the header has {width}"
        return SourceRecord(file, row, line, size, WRONG_FIELDS, detail)
    if not is_utf8:
        return SourceRecord(file, row, line, size, INVALID_UTF8, NOT_UTF8)
    return SourceRecord(file, row, line, size, fields=[field or None for field in fields])


def _size(fields: list[str]) -> tuple[int, bool]:
    """Bytes of the fields without quotes, and whether they are UTF-8."""
    joined = "".join(fields)
    quotes = joined.count('"')
    try:
        return len(joined.encode()) - quotes, True
    except UnicodeEncodeError:  # the stand-in for a byte that is not UTF-8 cannot be encoded
        return len(joined.encode(errors="surrogateescape")) - quotes, False
