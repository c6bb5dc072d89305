"""A package of spaCy's kind → callable: window texts in, labelled spans out, as spaCy finds them.

Its `config.json` is checked against a list before spaCy sees it (`spacy_config`). Its weights are
MessagePack, and no code in the package is run. spaCy gives no probabilities: every score is 1.
It knows nothing of notes, tables or Spark.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udfs.classifiers import watchdog
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import CONFIG, PIPELINE, ModelManifest, load_manifest
from udfs.package.spacy_config import NER, SpacyConfig
from udfs.spans import Span, WindowPrediction

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# In clinical English; only the size of batches depends on it.
CHARACTERS_PER_TOKEN = 4


class SpacyClassifier:
    """One pipeline, loaded on the CPU; see `load`."""

    def __init__(
        self, manifest: ModelManifest, nlp: Language, config: SpacyConfig, tokens_per_batch: int
    ) -> None:
        self.manifest = manifest
        self._nlp = nlp
        self._names = config.names
        self.tokens_per_batch = tokens_per_batch

    @classmethod
    def load(
        cls, folder: Path, device: str = "auto", tokens_per_batch: int = 4096
    ) -> SpacyClassifier:
        """Checks a package and loads it.

        Raises:
            ModelPackageError: the package is not usable.
            InputError: another device than the CPU was asked for, or spaCy is not installed.
        """
        manifest = load_manifest(folder)
        if device not in ("auto", "cpu"):
            raise InputError(
                f"model.device is {device!r}, but packages of spaCy run on the CPU: use cpu"
            )
        config = SpacyConfig.from_file(folder / CONFIG)
        nlp = build_pipeline(config)
        try:
            nlp.from_bytes((folder / PIPELINE).read_bytes(), exclude=["config.cfg", "strings"])
        except Exception as error:  # spaCy, thinc and srsly raise their own
            raise ModelPackageError(
                f"{folder}: {PIPELINE} does not fit {CONFIG} ({type(error).__name__}); spaCy here "
                "may be older than the one that wrote it, or the package is damaged"
            ) from None
        found = entity_labels(nlp, config)
        if found != manifest.scheme.entity_labels:
            raise ModelPackageError(
                f"{folder}: the recogniser has the labels {', '.join(found)}, the manifest "
                f"{', '.join(manifest.scheme.entity_labels)}; copy the package again"
            )
        return cls(manifest, nlp, config, tokens_per_batch)

    @property
    def parameters(self) -> int:
        """How many numbers its weights and word vectors hold."""
        models = [c.model for _, c in self._nlp.pipeline if hasattr(c, "model")]
        # A layer that two components share counts once.
        nodes = {node.id: node for model in models for node in model.walk()}.values()
        sizes = (n.get_param(p).size for n in nodes for p in n.param_names if n.has_param(p))
        return int(sum(sizes) + self._nlp.vocab.vectors.data.size)

    def use(self, threads: int, tokens_per_batch: int) -> None:
        """Sets the size of batches; spaCy works on one thread, whatever `threads` says."""
        self.tokens_per_batch = tokens_per_batch

    def predict(self, texts: Sequence[str]) -> list[WindowPrediction]:
        """One prediction for each window text, in order; its tokens count as word-pieces."""
        answers: list[WindowPrediction] = []
        for batch in _batches(texts, self.tokens_per_batch * CHARACTERS_PER_TOKEN):
            watchdog.beat()
            # Without a memory zone the vocabulary keeps every word that this process ever reads.
            with self._nlp.memory_zone():
                docs = self._nlp.pipe(batch, batch_size=len(batch))
                answers += [self._prediction(doc) for doc in docs]
        return answers

    def _prediction(self, doc: Doc) -> WindowPrediction:
        spans = tuple(
            Span(e.start_char, e.end_char, self._names.get(e.label_, e.label_)) for e in doc.ents
        )
        # spaCy reads a word that it has never seen by its prefix, suffix and shape: none is unread.
        return WindowPrediction(spans, wordpieces=len(doc), unread_characters=0)


def build_pipeline(config: SpacyConfig) -> Language:
    """The pipeline that a checked configuration describes, without its weights.

    Raises:
        InputError: spaCy is not installed.
        ModelPackageError: spaCy refuses the configuration.
    """
    try:
        from spacy.util import get_lang_class
    except ImportError:
        raise InputError(
            "this package is run by spaCy, which is not installed: pip install 'spacy==3.8.*', "
            "and give executors an environment that has it"
        ) from None
    plain: dict[str, Any] = {"nlp": dict(config.nlp), "components": dict(config.components)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are about spaCy's own command line
            # `from_config` changes its argument.
            return get_lang_class(config.nlp["lang"]).from_config(deepcopy(plain), auto_fill=True)
    except Exception as error:  # confection and pydantic quote whole sections in theirs
        raise ModelPackageError(
            f"spaCy refuses the configuration of this pipeline ({type(error).__name__}): it was "
            "made by another release of spaCy, or is damaged"
        ) from None


def entity_labels(nlp: Language, config: SpacyConfig) -> tuple[str, ...]:
    """The labels of all recognisers in a pipeline, under their new names, sorted."""
    names = [name for name, part in config.components.items() if part["factory"] == NER]
    labels = {label for name in names for label in nlp.get_pipe(name).labels}  # type: ignore[attr-defined]  # a Pipe has them
    return tuple(sorted({config.names.get(label, label) for label in labels}))


def _batches(texts: Sequence[str], characters: int) -> Iterator[list[str]]:
    """Texts in order, in batches of at most `characters`; a longer text is a batch of its own."""
    batch: list[str] = []
    held = 0
    for text in texts:
        if batch and held + len(text) > characters:
            yield batch
            batch, held = [], 0
        batch.append(text)
        held += len(text)
    if batch:
        yield batch
