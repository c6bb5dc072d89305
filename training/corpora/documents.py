"""Annotated documents in memory: their texts, the mentions in them, and relations.

Owns the type that every reader returns and every writer takes, the order of annotations, the
policies for discontinuous mentions, and the digest that names what a model was trained on. Knows no
file form; those stand in `training/corpora/forms/`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from udfs.errors import InputError
from udfs.spans import ConceptRelation, Mention, Relation

# Policies for discontinuous mentions where a mention must have one piece.
REFUSE, COVER, PARTS_OF = "refuse", "cover", "parts"
POLICIES = (REFUSE, COVER, PARTS_OF)


@dataclass(frozen=True)
class Document:
    """One annotated text. Readers make it with `make_document`, which sorts the annotations.

    `spans` stand in order of begin, end and label. As in the annotation, they may overlap and
    repeat.
    """

    doc_id: str
    text: str
    spans: tuple[Mention, ...]
    relations: tuple[Relation, ...] = ()
    concept_relations: tuple[ConceptRelation, ...] = ()


def make_document(
    doc_id: str,
    text: str,
    mentions: Sequence[Mention],
    relations: Iterable[Relation] = (),
    concept_relations: Iterable[ConceptRelation] = (),
) -> Document:
    """A document in canonical order.

    Relations refer to mentions by their index in `mentions`; they are renumbered.
    """
    order = sorted(range(len(mentions)), key=lambda place: _order_of(mentions[place]))
    place_of = {old: new for new, old in enumerate(order)}
    renumbered = (
        Relation(relation.label, place_of[relation.head], place_of[relation.tail])
        for relation in relations
    )
    return Document(
        doc_id,
        text,
        tuple(mentions[place] for place in order),
        tuple(sorted(renumbered, key=lambda r: (r.head, r.tail, r.label))),
        tuple(sorted(concept_relations, key=lambda r: (r.label, r.head, r.tail))),
    )


def _order_of(mention: Mention) -> tuple[object, ...]:
    """The sort key of a mention; mentions with equal keys keep the order of the file."""
    return (
        *(mention.begin, mention.end, mention.label),
        *(mention.fragments, mention.attributes, mention.concept_ids),
    )


def join_pieces(pieces: Sequence[tuple[int, int]], label: str) -> Mention:
    """A mention of pieces in text order; a single piece gives a mention without fragments."""
    fragments = tuple(pieces) if len(pieces) > 1 else ()
    return Mention(pieces[0][0], pieces[-1][1], label, fragments=fragments)


def discontinuous_mentions(documents: Iterable[Document]) -> int:
    """How many mentions have more than one piece."""
    return sum(bool(span.fragments) for document in documents for span in document.spans)


def resolve_discontinuous(documents: Sequence[Document], policy: str) -> list[Document]:
    """The same documents with every mention in one piece.

    `cover` takes the outermost span, which includes the words between the fragments. `parts` makes
    each fragment a mention of its own, with the label, attributes and ids of the whole; relations
    go to the first fragment. `refuse` allows no discontinuous mention.

    Raises:
        InputError: the policy is `refuse` and a mention is discontinuous.
    """
    count = discontinuous_mentions(documents)
    if count and policy == REFUSE:
        raise InputError(
            f"{count} discontinuous mentions, which have to be one piece here: convert the corpus "
            f"with jobs/convert_corpus.py --discontinuous {COVER} (the outermost span) or "
            f"{PARTS_OF} (each fragment a mention)"
        )
    return [_in_one_piece(document, policy) for document in documents]


def _in_one_piece(document: Document, policy: str) -> Document:
    if not any(span.fragments for span in document.spans):
        return document
    mentions: list[Mention] = []
    first_of: list[int] = []
    for span in document.spans:
        first_of.append(len(mentions))
        pieces = span.pieces if policy == PARTS_OF else ((span.begin, span.end),)
        mentions += [replace(span, begin=b, end=e, fragments=()) for b, e in pieces]
    relations = (Relation(r.label, first_of[r.head], first_of[r.tail]) for r in document.relations)
    return make_document(
        document.doc_id, document.text, mentions, relations, document.concept_relations
    )


def digest_documents(documents: Iterable[Document]) -> str:
    """sha256 of ids, texts and spans, in order.

    The same annotations give the same digest, whatever form they were read from. A span that is
    given twice counts once.
    """
    digest = hashlib.sha256()
    for document in documents:
        spans = list(dict.fromkeys((span.begin, span.end, span.label) for span in document.spans))
        digest.update(json.dumps([document.doc_id, document.text, spans]).encode("ascii"))
        digest.update(b"\n")
    return digest.hexdigest()


def labels_of(documents: Iterable[Document]) -> list[str]:
    """The labels that occur, sorted."""
    return sorted({span.label for document in documents for span in document.spans})


def with_labels(documents: Iterable[Document], labels: Sequence[str]) -> list[Document]:
    """The documents with only their mentions of these labels, and without relations.

    Raises:
        InputError: no document has a mention of one of the labels.
    """
    documents = list(documents)
    annotated = labels_of(documents)
    if unknown := sorted(set(labels) - set(annotated)):
        raise InputError(
            f"no document has a mention of {', '.join(unknown)}: labels must be of "
            f"{', '.join(annotated)}"
        )
    return [
        replace(
            document,
            spans=tuple(span for span in document.spans if span.label in labels),
            relations=(),
            concept_relations=(),
        )
        for document in documents
    ]
