"""How many records a CSV file holds and how many bytes of content, without parsing it.

It checks `csv_records` independently: it knows nothing of fields. Quotes come in pairs in RFC 4180.
Inside a pair everything is content. Outside, commas and row ends are structure and the rest is
content. Each byte of content has to arrive in a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from udfs.errors import InputError
from udfs.reading.csv_records import READ_BYTES, READ_ERRORS, open_csv


@dataclass(frozen=True, slots=True)
class CsvCount:
    """Rows that are not blank, the header included, and the bytes of content.

    Content is all but quotes, and but commas and row ends outside quotes.
    """

    rows: int
    size: int


def count_csv(path: Path) -> CsvCount:
    """Counts in one pass over the file, a block at a time.

    Raises:
        InputError: the file cannot be read to its end, or a quote is left open.
    """
    rows = size = 0
    quoted, rest = False, b""
    try:
        with open_csv(path) as content:
            while block := content.read(READ_BYTES):
                pieces = block.split(b'"')
                even, odd = pieces[::2], pieces[1::2]
                inside, outside = (even, [b"", *odd]) if quoted else (odd, even)
                size += sum(map(len, inside))
                # A quote marks where content was, so that a row of quoted fields is not blank.
                structure = rest + b'"'.join(outside)
                quoted ^= len(pieces) % 2 == 0
                lines = structure.splitlines(keepends=True)
                # The last line may continue in the next block, and a CR may have its LF there.
                rest = lines.pop() if lines else b""
                rows, size = rows + _filled(lines), size + _bytes(lines)
    except READ_ERRORS as error:
        raise InputError(
            f"{path.name} is cut off or damaged ({type(error).__name__}): fetch it again"
        ) from None
    if quoted:
        raise InputError(
            f"{path.name} has an odd number of quotes: one is not closed or not doubled, or the "
            "file is cut off"
        )
    return CsvCount(rows + _filled([rest]), size + _bytes([rest]))


def _filled(lines: list[bytes]) -> int:
    return sum(1 for line in lines if line.rstrip(b"\r\n"))


def _bytes(lines: list[bytes]) -> int:
    structure = b"".join(lines)
    return len(structure) - sum(structure.count(mark) for mark in (b'"', b",", b"\r", b"\n"))
