"""Offsets that count UTF-16 code units, as JavaScript does, and code points, as we do.

A character beyond U+FFFF (an emoji) is one code point and two code units.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class CodeUnits:
    """Converts offsets in one text between code points and UTF-16 code units."""

    def __init__(self, text: str) -> None:
        self._units: list[int] | None = None
        if any(character > "\uffff" for character in text):
            widths = (1 + (character > "\uffff") for character in text)
            self._units = list(accumulate(widths, initial=0))

    def to_code_point(self, unit: int) -> int | None:
        """The offset in code points; None where it lies inside a character or after the text."""
        if self._units is None:
            return unit
        point = bisect_left(self._units, unit)
        found = point < len(self._units) and self._units[point] == unit
        return point if found else None

    def from_code_point(self, point: int) -> int:
        """The offset in code units."""
        return point if self._units is None else self._units[point]
