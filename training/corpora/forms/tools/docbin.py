"""spaCy's DocBin (`.spacy`), read and written through spaCy, which only this module imports.

All mentions stand in the span group `sc`, where spaCy's span categorizer looks for them. Mentions
that do not overlap stand also in `ents`, for spaCy's entity recognizer. The id of a document is
kept in its user data, concept ids in `kb_id` with `|` between. A DocBin is MessagePack, not pickle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.corpora.documents import Document, make_document
from training.corpora.forms.losses import (
    ATTRIBUTES,
    CONCEPT_IDS,
    CONCEPT_RELATIONS,
    MOVED_BORDERS,
    NOT_IN_ENTS,
    RELATIONS,
    WITHOUT_WORD,
    Losses,
    count_extras,
)
from training.corpora.forms.source_lines import Place, checked_mention
from training.corpora.forms.tools.spacy_json import GROUP, OTHER_GROUPS, with_group
from udfs.errors import InputError
from udfs.spans import Mention

_ID = "doc_id"
_BETWEEN_IDS = "|"


def _spacy() -> Any:
    try:
        import spacy
    except ImportError:
        raise InputError(
            "a DocBin is read and written through spaCy, which is not installed: "
            "pip install 'spacy==3.8.*'"
        ) from None
    return spacy


def read_docbin(path: Path, met: Counter[str]) -> list[Document]:
    """Documents of a DocBin: the mentions of `ents` and of the span group `sc`, each once.

    A document without an id of ours gets the id `<file>:<number>`.

    Raises:
        InputError: the file is missing or not a DocBin, or spaCy is not installed.
    """
    spacy = _spacy()
    if not path.is_file():
        raise InputError(f"corpus file {path} is missing")
    try:
        docbin = spacy.tokens.DocBin().from_bytes(path.read_bytes())
        docs = list(docbin.get_docs(spacy.blank("xx").vocab))
    except Exception:  # many libraries may raise here, and their messages may quote the text
        raise InputError(f"{path}: not a DocBin, or damaged") from None
    return [
        _document(Place(path, number, "document"), doc, met)
        for number, doc in enumerate(docs, start=1)
    ]


def _document(place: Place, doc: Any, met: Counter[str]) -> Document:
    groups = {name: len(group) for name, group in doc.spans.items()}
    met[OTHER_GROUPS] += sum(size for name, size in groups.items() if name != GROUP)
    spans = [_mention(place, doc.text, span) for span in doc.ents]
    group = [_mention(place, doc.text, span) for span in doc.spans.get(GROUP, [])]
    given = doc.user_data.get(_ID)
    doc_id = given if isinstance(given, str) else f"{place.path.name}:{place.number}"
    return make_document(doc_id, doc.text, with_group(spans, group))


def _mention(place: Place, text: str, span: Any) -> Mention:
    mention = checked_mention(place, text, span.start_char, span.end_char, span.label_)
    ids = tuple(span.kb_id_.split(_BETWEEN_IDS)) if span.kb_id_ else ()
    return replace(mention, concept_ids=ids)


def write_docbin(documents: Sequence[Document], path: Path) -> Losses:
    """Writes one file, with the tokens of spaCy's blank English pipeline; returns what is lost.

    A mention that ends inside a token gets the whole token.
    """
    spacy = _spacy()
    losses = count_extras(documents, (ATTRIBUTES, RELATIONS, CONCEPT_RELATIONS))
    pipeline = spacy.blank("en")
    pipeline.max_length = 1 + max((len(document.text) for document in documents), default=0)
    docbin = spacy.tokens.DocBin(store_user_data=True)
    for document in documents:
        doc = pipeline.make_doc(document.text)
        doc.user_data[_ID] = document.doc_id
        spans = [_span(doc, mention, losses) for mention in document.spans]
        doc.spans[GROUP] = [span for span in spans if span is not None]
        flat: list[Any] = []
        for span in sorted(doc.spans[GROUP], key=lambda span: (span.start, -span.end)):
            if flat and span.start < flat[-1].end:
                losses[NOT_IN_ENTS] += 1
            else:
                flat.append(span)
        doc.set_ents(flat)
        docbin.add(doc)
    docbin.to_disk(path)
    return +losses


def _span(doc: Any, mention: Mention, losses: Losses) -> Any:
    held = [concept for concept in mention.concept_ids if concept and _BETWEEN_IDS not in concept]
    span = doc.char_span(
        mention.begin,
        mention.end,
        label=mention.label,
        kb_id=_BETWEEN_IDS.join(held),
        alignment_mode="expand",
    )
    if mention.begin == mention.end or span is None or not len(span):
        losses[WITHOUT_WORD] += 1
        return None
    losses[CONCEPT_IDS] += len(mention.concept_ids) - len(held)
    losses[MOVED_BORDERS] += (span.start_char, span.end_char) != (mention.begin, mention.end)
    return span
