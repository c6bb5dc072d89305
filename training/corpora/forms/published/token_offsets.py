"""Offsets of the i2b2 challenges, `line:token` with both ends included → offsets in the text.

Lines count from 1 and end at line feeds. Tokens count from 0 and are separated by white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from training.corpora.forms.source_lines import Place

# A line or token number has at most nine digits; no file has a longer one.
_OFFSET = re.compile(r"([0-9]{1,9}):([0-9]{1,9}) ([0-9]{1,9}):([0-9]{1,9})")
OFFSET = r"[0-9]{1,9}:[0-9]{1,9} [0-9]{1,9}:[0-9]{1,9}"
_TOKEN = re.compile(r"\S+")


class TokenOffsets:
    """The tokens of each line of a text."""

    def __init__(self, text: str) -> None:
        self._lines = [
            [match.span() for match in _TOKEN.finditer(text, begin, end)]
            for begin, end in _line_borders(text)
        ]

    def span(self, place: Place, offset: str) -> tuple[int, int]:
        """Begin and end in code points of an offset such as `4:7 5:0`.

        Raises:
            InputError: the text has no such tokens, or the last one stands before the first.
        """
        found = _OFFSET.fullmatch(offset)
        if found is None:
            raise place.broken("expected line:token line:token")
        first_line, first, last_line, last = map(int, found.groups())
        if (first_line, first) > (last_line, last):
            raise place.broken(f"the offset {offset} ends before it begins")
        return self._token(place, first_line, first)[0], self._token(place, last_line, last)[1]

    def _token(self, place: Place, line: int, token: int) -> tuple[int, int]:
        if not 1 <= line <= len(self._lines) or token >= len(self._lines[line - 1]):
            raise place.broken(f"the text has no token {token} in line {line}")
        return self._lines[line - 1][token]


def _line_borders(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    while (end := text.find("\n", begin)) >= 0:
        yield begin, end
        begin = end + 1
    yield begin, len(text)


def words_of(text: str) -> str:
    """The text in lower case with one space between words, to compare a quoted mention by."""
    return " ".join(text.lower().split())
