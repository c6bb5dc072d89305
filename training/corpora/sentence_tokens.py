"""Sentences and tokens of a document, for forms and measures that count in tokens."""

from __future__ import annotations

import re

from udfs.text.segmentation import segment_note

_TOKEN = re.compile(r"\w+|[^\w\s]")


def sentence_tokens(text: str) -> list[list[tuple[int, int]]]:
    """Begin and end of each token, sentence by sentence; sentences without a token are left out."""
    sentences = (
        [match.span() for match in _TOKEN.finditer(text, begin, end)]
        for begin, end in segment_note(text)
    )
    return [words for words in sentences if words]
