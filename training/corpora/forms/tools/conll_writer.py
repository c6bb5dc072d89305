"""Documents → a CoNLL file: token, tab and IOB2 tag, an empty line after each sentence.

Tokens are runs of letters and digits, and single other characters, as in the tsv form of BC5CDR.
They do not depend on the annotation: else a model could learn the end of a mention from the end of
a token. Sentences are the windows of the segmenter.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from training.corpora.documents import Document
from training.corpora.forms.losses import (
    ATTRIBUTES,
    CONCEPT_IDS,
    CONCEPT_RELATIONS,
    CUT_MENTIONS,
    DOCUMENT_IDS,
    MOVED_BORDERS,
    OVERLAPS,
    RELATIONS,
    WHITE_SPACE,
    WITHOUT_WORD,
    Losses,
    count_extras,
    plain_name,
)
from training.corpora.sentence_tokens import sentence_tokens
from udfs.spans import Mention

_Words = list[tuple[int, int]]


def write_conll(documents: Sequence[Document], path: Path) -> Losses:
    """Writes one file with a `-DOCSTART- (id)` line before each document; returns what is lost.

    Where mentions share a word, the earliest is written, and of several that begin together the
    longest. A mention that ends inside a word gets the whole word; a mention over two sentences is
    cut in two.
    """
    losses = count_extras(documents, (ATTRIBUTES, CONCEPT_IDS, RELATIONS, CONCEPT_RELATIONS))
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for document in documents:
            losses[DOCUMENT_IDS] += not document.doc_id or "\n" in document.doc_id
            doc_id = document.doc_id.replace("\n", " ")
            file.write(f"-DOCSTART- ({doc_id})\tO\n\n")
            for line in _lines(document, losses):
                file.write(line + "\n")
    return +losses


def _lines(document: Document, losses: Losses) -> list[str]:
    text = document.text
    sentences = sentence_tokens(text)
    kept = "\n".join(" ".join(text[b:e] for b, e in words) for words in sentences)
    losses[WHITE_SPACE] += kept != text
    words = [word for sentence in sentences for word in sentence]
    first_words = [0]
    for sentence in sentences:
        first_words.append(first_words[-1] + len(sentence))
    tags = _tags(document.spans, words, set(first_words), losses)
    lines: list[str] = []
    for begin, end in pairwise(first_words):
        lines += [f"{text[b:e]}\t{tags[n]}" for n, (b, e) in enumerate(words[begin:end], begin)]
        lines.append("")
    return lines


def _tags(
    mentions: Sequence[Mention], words: _Words, first_words: set[int], losses: Losses
) -> list[str]:
    begins, ends = [begin for begin, _ in words], [end for _, end in words]
    tags = ["O"] * len(words)
    for mention in sorted(mentions, key=lambda m: (m.begin, -m.end)):
        first, after = bisect_right(ends, mention.begin), bisect_left(begins, mention.end)
        if mention.begin == mention.end or first >= after:
            losses[WITHOUT_WORD] += 1
        elif tags[first] != "O":  # earlier mentions begin no later, so an overlap has this word
            losses[OVERLAPS] += 1
        else:
            losses[MOVED_BORDERS] += (mention.begin, mention.end) != (
                begins[first],
                ends[after - 1],
            )
            label = plain_name(mention.label, losses)
            for place in range(first, after):
                tags[place] = f"I-{label}"
            inner = [place for place in range(first + 1, after) if place in first_words]
            losses[CUT_MENTIONS] += bool(inner)
            for place in (first, *inner):
                tags[place] = f"B-{label}"
    return tags
