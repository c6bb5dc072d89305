"""Documents of one corpus or several, under the labels of one model.

Owns label maps, and which labels each document's corpus annotates. A model of several corpora has
the labels of all of them. A corpus that lacks a label says nothing about it (see
`partial_labels.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.corpora.documents import Document, digest_documents, labels_of, make_document
from training.corpora.form_table import read_corpus
from udfs.errors import InputError
from udfs.spans import Span

# Label of a corpus -> label of the model, or None to drop its mentions.
LabelMap = Mapping[str, str | None]


@dataclass(frozen=True)
class TrainingData:
    """Documents, and for each the labels of the model that its corpus annotates.

    `labels_of_corpus` holds the annotated labels by corpus.
    """

    documents: list[Document]
    annotated: list[frozenset[str]]
    labels_of_corpus: Mapping[str, frozenset[str]]

    @property
    def entity_labels(self) -> list[str]:
        """The labels of the model, sorted."""
        return sorted(frozenset[str]().union(*self.annotated))

    @property
    def digest(self) -> str:
        """The digest of the documents under the model's labels."""
        return digest_documents(self.documents)

    def told_apart(self, found: Iterable[Sequence[Span]]) -> list[list[Span]]:
        """The found spans of each document, only of labels that its corpus annotates.

        For any other label nobody knows whether a span is right.
        """
        return [
            [span for span in spans if span.label in annotated]
            for spans, annotated in zip(found, self.annotated, strict=True)
        ]


@dataclass(frozen=True)
class CorpusMix:
    """Corpora such as `bc5cdr:FOLDER`, and the label maps of some of them.

    The keys of `label_maps` are forms (`bc5cdr`) or, where two corpora have the same form, whole
    `FORM:PATH` specs. A corpus without a label map keeps its labels.
    """

    corpora: tuple[str, ...]
    label_maps: Mapping[str, LabelMap]

    def __post_init__(self) -> None:
        if not self.corpora:
            raise InputError("there must be a --corpus at least")
        if len(set(self.corpora)) < len(self.corpora):
            raise InputError(f"a corpus is named twice in {', '.join(self.corpora)}")
        names = {*self.corpora, *map(form_of, self.corpora)}
        if unused := sorted(set(self.label_maps) - names):
            raise InputError(
                f"the label map is for {', '.join(unused)}, but the corpora are "
                f"{', '.join(map(form_of, self.corpora))}"
            )

    @property
    def forms(self) -> str:
        """The corpora without their folders, which say nothing on another machine."""
        return "+".join(map(form_of, self.corpora))

    def read(self, parts: Sequence[str], trained: TrainingData | None = None) -> TrainingData:
        """Reads these parts of all corpora.

        A corpus annotates the labels that its map names. Without a map, it annotates the labels
        that occur in these parts or in the data that was `trained` on.

        Raises:
            InputError: as `read_corpus` raises it, or a label occurs that a map does not name.
        """
        documents: list[Document] = []
        annotated: list[frozenset[str]] = []
        by_corpus: dict[str, frozenset[str]] = {}
        for spec in self.corpora:
            found = read_corpus(spec, parts)
            labels = self.label_maps.get(spec, self.label_maps.get(form_of(spec)))
            if labels is None:
                before = trained.labels_of_corpus[spec] if trained is not None else frozenset()
                by_corpus[spec] = before | frozenset(labels_of(found))
            else:
                found = map_labels(found, labels, form_of(spec))
                by_corpus[spec] = frozenset(label for label in labels.values() if label is not None)
            documents += found
            annotated += [by_corpus[spec]] * len(found)
        return TrainingData(documents, annotated, by_corpus)


def form_of(spec: str) -> str:
    """`bc5cdr:FOLDER` -> `bc5cdr`."""
    return spec.partition(":")[0]


def map_labels(documents: Sequence[Document], labels: LabelMap, name: str) -> list[Document]:
    """The documents under other labels.

    Mentions whose label becomes None are left out, and so are all relations.

    Raises:
        InputError: the map does not name a label that occurs.
    """
    if unknown := sorted(set(labels_of(documents)) - set(labels)):
        raise InputError(
            f"corpus {name}: its label map does not name {', '.join(unknown)}; say for each which "
            "label of the model it is, or null to leave its mentions out"
        )
    return [_mapped(document, labels) for document in documents]


def _mapped(document: Document, labels: LabelMap) -> Document:
    mentions = [
        replace(span, label=label)
        for span in document.spans
        if (label := labels[span.label]) is not None
    ]
    return make_document(document.doc_id, document.text, mentions)


def parse_label_maps(value: Any) -> dict[str, LabelMap]:
    """Checks what a file of label maps holds: corpus -> label -> label or null.

    Raises:
        InputError: the value has another shape.
    """
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise InputError("a label map must name corpora, and for each its labels: FORM: {A: B}")
    for corpus, labels in value.items():
        for label, meant in labels.items():
            fits = isinstance(label, str) and (meant is None or (isinstance(meant, str) and meant))
            if not fits:
                raise InputError(
                    f"label map of {corpus}: {label!r} must become a label, or null, in quotes "
                    "where YAML would read something else"
                )
    return {str(corpus): dict(labels) for corpus, labels in value.items()}
