"""Note text → windows: what is scored as one input of the model.

A window is a sentence, a list item, a heading, a row of a lab table. Windows are disjoint, in
order, begin and end with a character that is not white space, and cover every character that is
not white space. Every border is decided by the two lines or the few words around it, so that a
paragraph copied into another note gives the same windows there. All offsets are code points.

It knows text only: no tokenizer, no model. The cues are in `segmentation_cues.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from udfs.text.segmentation_cues import (
    BINDING_ABBREVIATIONS,
    BLANK_BEGINS,
    BLANK_ENDS,
    BORDER,
    CAPITALS_LINE,
    FREE_ABBREVIATIONS,
    HEADING_LINE,
    LAST_WORD,
    LINE,
    LIST_MARKER,
    NEWLINE,
    SENTENCE_STARTERS,
    TABLE_LINE,
    TIMED_LINE,
)

# Part of the pipeline fingerprint: raise it whenever a border can move.
SEGMENTATION_VERSION = 2
# Most characters in a window. A longer run of text without any border is cut, after a comma or at
# white space where one is near. Windows that are still too long for the model are cut by the
# classifier, so nothing is lost.
MAX_WINDOW_CHARACTERS = 2000
# If a line and the next line's first word have at least this length together, a program wrapped the
# line; no writer ended it. MIMIC-IV-Note wraps near column 78, many systems near 70.
WRAP_COLUMN = 66
# A line of at least this length is one sentence with the next, if that begins in lower case.
GOES_ON_COLUMN = 32
# A heading or the number of a list item ends within this many characters of its window's begin.
LINE_BEGINNING = 80

_FIRST_WORD = re.compile(r"\s*(\S{1,80})")
_NEXT = re.compile(r"[\s,]*(\S?)(\w*)")
_NOT_SPACE = re.compile(r"\S")
_LONE_NUMBER = re.compile(r"\(?\d{1,2}$")


def segment_note(text: str) -> list[tuple[int, int]]:
    """The windows of a note.

    Args:
        text: the raw note, of any length, control characters included.

    Returns:
        `(begin, end)` of each window, half-open code point offsets, in order. Empty for a
        note of white space only.
    """
    windows: list[tuple[int, int]] = []
    for block_begin, block_end in _blocks(text):
        begin = block_begin
        for border in (*_sentence_borders(text, block_begin, block_end), block_end):
            windows.extend(_trim_and_cut(text, begin, border))
            begin = border
    return windows


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Runs of lines that belong together: a line with the lines onto which it was wrapped."""
    begin = end = -1
    previous = ""
    for match in LINE.finditer(text):
        line = match.group()
        if line.isspace():
            previous = ""
            continue
        if begin >= 0 and not (previous and _is_wrapped(previous, line)):
            yield begin, end
            begin = -1
        if begin < 0:
            begin = match.start()
        elif len(NEWLINE.findall(text, end, match.start())) > 1:
            yield begin, end  # an empty line stands between the two
            begin = match.start()
        end = match.end()
        previous = line
    if begin >= 0:
        yield begin, end


def _is_wrapped(line: str, following: str) -> bool:
    """Whether a program made the line break between the two lines, inside a sentence."""
    if _breaks_blank(line, following):
        return True
    if (
        LIST_MARKER.match(following)
        or HEADING_LINE.match(following)
        or TIMED_LINE.match(following)
        or CAPITALS_LINE.match(line)
        or TABLE_LINE.search(line)
        or TABLE_LINE.search(following)
    ):
        return False
    stripped = line.strip()
    if stripped.endswith(":"):
        return False
    word = _FIRST_WORD.match(following)
    first_word = word.group(1) if word else ""
    if len(line.rstrip()) + 1 + len(first_word) >= WRAP_COLUMN:
        return len(stripped) <= 2 * WRAP_COLUMN or first_word[:1].islower()
    return first_word[:1].islower() and len(stripped) >= GOES_ON_COLUMN


def _breaks_blank(line: str, following: str) -> bool:
    """Whether the line break stands inside a MIMIC-III blank; nothing in a blank is a border."""
    opened = line.rfind("[**")
    return (
        opened >= 0
        and BLANK_BEGINS.match(line, opened) is not None
        and BLANK_ENDS.match(following) is not None
    )


def _sentence_borders(text: str, begin: int, end: int) -> Iterator[int]:
    """The places inside one block at which a new window begins."""
    since = begin
    for match in BORDER.finditer(text, begin, end):
        kind = match.lastgroup
        if kind == "blank":
            continue
        if kind == "stop":
            if not _ends_sentence(text, since, match, end):
                continue
        elif kind == "after" and not _is_capitals_heading(text, since, match.start()):
            continue
        since = match.end()
        if kind == "stop" and text.startswith(",", since, end):
            since += 1  # this comma was once a line break
        yield since


def _is_capitals_heading(text: str, begin: int, end: int) -> bool:
    return 0 < end - begin <= LINE_BEGINNING and text[begin:end].upper() == text[begin:end]


def _ends_sentence(text: str, since: int, match: re.Match[str], end: int) -> bool:
    following = _NEXT.match(text, match.end("stop"), end)
    first, rest = following.groups() if following else ("", "")
    if not first:
        return True
    stop = match.group("stop")
    if stop[0] != "." or len(stop) > 1:
        return not first.islower()
    before = LAST_WORD.search(text, max(since, match.start() - 40), match.start())
    word = before.group() if before else ""
    next_word = (first + rest).lower()
    is_near = match.start() - since <= LINE_BEGINNING  # without this limit long blocks take n² time
    if is_near and _LONE_NUMBER.match(word) and text[since : match.start()].strip() == word:
        return False  # the number of a list item: "2. Hypertension"
    if word.lower() in BINDING_ABBREVIATIONS:
        return False
    if len(word) == 1 and word.isupper():  # an initial or a genus: "E. coli", "J. Smith"
        return next_word in SENTENCE_STARTERS
    if word.lower() in FREE_ABBREVIATIONS or "." in word:
        return first.isupper() or first in "_[•"
    if first.islower():
        return len(word) >= 4 and word.isalpha()
    return True


def _trim_and_cut(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while end - begin > MAX_WINDOW_CHARACTERS:
        if text[begin].isspace():
            begin = _skip_space(text, begin, end)
            continue
        cut = _cut_position(text, begin)
        yield begin, begin + len(text[begin:cut].rstrip())
        begin = cut
    piece = text[begin:end]
    begin += len(piece) - len(piece.lstrip())
    if stripped := piece.strip():
        yield begin, begin + len(stripped)


def _skip_space(text: str, begin: int, end: int) -> int:
    found = _NOT_SPACE.search(text, begin, end)
    return found.start() if found else end


def _cut_position(text: str, begin: int) -> int:
    """Where to cut a run without borders: after a comma, else at white space, else at the limit."""
    limit = begin + MAX_WINDOW_CHARACTERS
    half = begin + MAX_WINDOW_CHARACTERS // 2
    for mark in (", ", "; "):
        position = text.rfind(mark, half, limit)
        if position >= 0:
            return position + 1
    for position in range(limit, half, -1):
        if text[position].isspace():
            return position
    return limit
