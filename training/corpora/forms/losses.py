"""What a file form cannot hold: writers count it by kind, and the user is told.

Where a writer counts no loss, the corpus reads back as it was.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from training.corpora.documents import Document

Losses = Counter[str]

ATTRIBUTES = "attributes"
CONCEPT_IDS = "concept ids"
RELATIONS = "relations of mentions"
CONCEPT_RELATIONS = "relations of concepts"
DOCUMENT_IDS = "ids of documents"
OVERLAPS = "mentions that overlap one that is written"
EMPTY = "empty mentions"
BROKEN_ENDS = "mentions that begin or end with a line break"
BREAK_GAPS = "gaps of white space with a line break (written as one piece)"
MOVED_BORDERS = "mentions whose borders move to those of words"
WITHOUT_WORD = "mentions without a word"
CUT_MENTIONS = "mentions cut at the end of a sentence"
NOT_IN_ENTS = "mentions that overlap another: in the span group sc, not in ents"
WHITE_SPACE = "documents whose white space is not kept"
RENAMED = "names whose white space became _"

_WHITE_SPACE = re.compile(r"\s+")


def plain_name(name: str, losses: Losses) -> str:
    """A name that a form with columns can hold: no white space, and not empty."""
    held = _WHITE_SPACE.sub("_", name) or "_"
    losses[RENAMED] += held != name
    return held


def count_extras(documents: Iterable[Document], kinds: Iterable[str]) -> Losses:
    """How many of these extras the documents have; `kinds` are some of the first four above."""
    losses: Losses = Counter()
    for document in documents:
        losses[ATTRIBUTES] += sum(len(span.attributes) for span in document.spans)
        losses[CONCEPT_IDS] += sum(len(span.concept_ids) for span in document.spans)
        losses[RELATIONS] += len(document.relations)
        losses[CONCEPT_RELATIONS] += len(document.concept_relations)
    return Counter({kind: losses[kind] for kind in kinds if losses[kind]})
