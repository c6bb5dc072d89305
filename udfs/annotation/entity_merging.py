"""Predictions of one note's windows → mentions in the note.

Windows are disjoint and a mention never crosses their borders, so merging adds each window's
offset to its spans and applies three rules:

1. A mention without a letter or a digit is dropped (a bullet, a blank of underscores).
2. A mention that lies inside a de-identification blank (`[**…**]`) is dropped: nobody wrote it.
3. Mentions come in text order; of two equal ones (same offsets and label) one is kept.

It knows text and spans: no model, no table.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from udfs.spans import Span
from udfs.text.segmentation_cues import BLANK

_BLANK = re.compile(BLANK)


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """A window of one note with what the model said of its text (spans relative to the window)."""

    begin: int
    end: int
    spans: tuple[Span, ...]
    wordpieces: int
    unread_characters: int


def merge_mentions(text: str, windows: Sequence[ScoredWindow]) -> list[Span]:
    """The mentions of a note, with offsets in the note.

    Raises:
        ValueError: a span does not fit its window, or a window does not fit the text: the
            prediction belongs to another text.
    """
    blanks = [match.span() for match in _BLANK.finditer(text)] if "[**" in text else []
    found = {
        (span.begin, span.end, span.label): span
        for span in _project(text, windows)
        if _is_written(text, span) and not _is_inside(span, blanks)
    }
    return [found[key] for key in sorted(found)]


def _project(text: str, windows: Sequence[ScoredWindow]) -> Iterable[Span]:
    for window in windows:
        if not 0 <= window.begin < window.end <= len(text):
            raise ValueError(
                f"window {window.begin}-{window.end} does not fit a text of {len(text)} characters"
            )
        for span in window.spans:
            if not 0 <= span.begin < span.end <= window.end - window.begin:
                raise ValueError(
                    f"span {span.begin}-{span.end} does not fit its window of "
                    f"{window.end - window.begin} characters"
                )
            yield Span(window.begin + span.begin, window.begin + span.end, span.label, span.score)


def _is_written(text: str, span: Span) -> bool:
    return any(c.isalnum() for c in text[span.begin : span.end])


def _is_inside(span: Span, blanks: Sequence[tuple[int, int]]) -> bool:
    """Whether one of `blanks` holds the span.

    They are disjoint and in order, so only the last one that begins no later can hold it.
    """
    i = bisect_right(blanks, span.begin, key=itemgetter(0)) - 1
    return i >= 0 and span.end <= blanks[i][1]
