"""Invented documents for property tests: any text, any annotation that a document can have."""

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from training.corpora.documents import join_pieces, make_document
from training.corpora.form_table import read_part, write_corpus
from udfs.spans import ConceptRelation, Mention, Relation

# A text with two mentions, and their offsets in UTF-16 code units: the emoji is two of them.
TEXT = "\U0001f637 had canary fever\r\nand took aspirin"
FEVER, ASPIRIN = Mention(6, 18, "Disease"), Mention(29, 36, "Drug")
UNITS = {FEVER: (7, 19), ASPIRIN: (30, 37)}

# Half a surrogate pair is no character; the sampled ones are those that files and tools trip over.
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("ab 1\r\n\t\0\u2028\x85é\U0001f637[]:;|\"'\\"),
)
TEXTS = st.text(CHARACTERS, max_size=40)
NAMES = st.text(CHARACTERS, min_size=1, max_size=6)
PLAIN_NAMES = st.text(st.sampled_from("abXY-_.,é\U0001f637"), min_size=1, max_size=6)


@st.composite
def mentions(draw, text, names, *, discontinuous=True, extras=True):
    """A mention of a text that has at least one character."""
    pieces = draw(
        st.integers(1, 3 if discontinuous else 1).filter(lambda n: 2 * n <= len(text) + 1)
    )
    offsets = st.lists(
        st.integers(0, len(text)), min_size=2 * pieces, max_size=2 * pieces, unique=pieces > 1
    )
    borders = sorted(draw(offsets))
    mention = join_pieces(list(zip(borders[::2], borders[1::2], strict=True)), draw(names))
    if not extras:
        return mention
    attributes = draw(st.lists(st.tuples(names, st.just("") | names), max_size=2))
    concepts = draw(st.lists(names, max_size=2))
    return replace(mention, attributes=tuple(sorted(attributes)), concept_ids=tuple(concepts))


@st.composite
def documents(draw, names=NAMES, texts=TEXTS, concept_relations=True, **of_mentions):
    """One document; its id is `d`."""
    text = draw(texts)
    found = []
    if text:
        found = draw(st.lists(mentions(text, names, **of_mentions), max_size=4))
    relations = []
    if found:
        place = st.integers(0, len(found) - 1)
        relations = draw(st.lists(st.builds(Relation, names, place, place), max_size=2))
    of_concepts = st.lists(st.builds(ConceptRelation, names, names, names), max_size=1)
    return make_document(
        "d", text, found, relations, draw(of_concepts) if concept_relations else ()
    )


@st.composite
def corpora(draw, **of_documents):
    """Up to three documents with ids of their own."""
    found = draw(st.lists(documents(**of_documents), max_size=3))
    return [replace(document, doc_id=f"d{n}") for n, document in enumerate(found)]


@contextmanager
def written(form, corpus, name="corpus.json"):
    """What a form loses of a corpus, and the corpus that is read again."""
    with tempfile.TemporaryDirectory() as folder:
        spec = f"{form}:{Path(folder) / name}"
        losses = write_corpus(spec, corpus)
        yield losses, lambda: read_part(spec).documents


def plain_spans(corpus):
    """Begin, end and label of every mention, by document."""
    return [
        sorted((span.begin, span.end, span.label) for span in document.spans) for document in corpus
    ]
