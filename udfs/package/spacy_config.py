"""Which pipelines of spaCy this project runs: the shape of `config.json` in a spaCy package.

A configuration of spaCy names functions, and installed packages may add any function to spaCy's
registry. This module lists what a package may name: only functions of spaCy's own, none of which
reads a file, fetches anything or unpickles. spaCy itself is not imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from udfs.errors import ModelPackageError

MODEL_TYPE = "spacy"
NER = "ner"
# A recogniser reads its tokens through tok2vec. The other three set sentence borders; no mention
# crosses one that was set before the recogniser runs.
FACTORIES = frozenset({NER, "tok2vec", "parser", "senter", "sentencizer"})
_ARCHITECTURES = {
    "CharacterEmbed": "12",
    "FeatureExtractor": "1",
    "HashEmbedCNN": "12",
    "MaxoutWindowEncoder": "12",
    "MishWindowEncoder": "12",
    "MultiHashEmbed": "12",
    "StaticVectors": "12",
    "Tagger": "12",
    "Tok2Vec": "12",
    "Tok2VecListener": "1",
    "TransitionBasedParser": "12",
}
_REGISTERED = {
    "@architectures": {f"spacy.{a}.v{v}" for a, each in _ARCHITECTURES.items() for v in each},
    "@scorers": {
        "spacy.ner_scorer.v1",
        "spacy.parser_scorer.v1",
        "spacy.senter_scorer.v1",
    },
    "@tokenizers": {"spacy.Tokenizer.v1"},
    "@vectors": {"spacy.Vectors.v1"},
}
_CALLBACKS = ("before_creation", "after_creation", "after_pipeline_creation")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class SpacyConfig:
    """What builds a pipeline: spaCy's sections `nlp` and `components`.

    `names` maps labels of the recogniser to the names that mentions get instead.
    """

    nlp: Mapping[str, Any]
    components: Mapping[str, Mapping[str, Any]]
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if fault := _fault(self.nlp, self.components, self.names):
            raise ModelPackageError(
                f"this pipeline of spaCy is not run: {fault}. A package may hold a recogniser "
                "(ner) with tok2vec, parser, senter and sentencizer, made of spaCy's own parts"
            )

    @classmethod
    def from_file(cls, path: Path) -> SpacyConfig:
        """Reads and checks `config.json`.

        Raises:
            ModelPackageError: it is damaged, or names what is not in the list.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["model_type"] != MODEL_TYPE:
                raise ValueError
            return cls(raw["nlp"], raw["components"], raw.get("names", {}))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelPackageError(
                f"{path} is no configuration of spaCy that clinspan wrote "
                f"({type(error).__name__}); copy the package again"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """The contents of `config.json`."""
        return {
            "model_type": MODEL_TYPE,
            "nlp": dict(self.nlp),
            "components": dict(self.components),
            "names": dict(self.names),
        }


def _fault(nlp: object, components: object, names: object) -> str | None:
    if not (isinstance(nlp, Mapping) and isinstance(components, Mapping)):
        return "nlp and components must be sections"
    if not isinstance(names, Mapping) or not all(isinstance(n, str) and n for n in names.values()):
        return "names must map labels to names"
    order = nlp.get("pipeline")
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(components):
        return "nlp.pipeline does not list the components"
    if not _LANGUAGE.fullmatch(str(nlp.get("lang"))):
        return f"the language {nlp.get('lang')!r} is no code of two or three letters"
    if called := [name for name in _CALLBACKS if nlp.get(name) is not None]:
        return f"nlp.{called[0]} names a function"
    for name, component in components.items():
        factory = component.get("factory") if isinstance(component, Mapping) else None
        if factory not in FACTORIES:
            return f"the component {name!r} is made by {factory!r}"
    if not any(component["factory"] == NER for component in components.values()):
        return "it has no component made by 'ner'"
    for registry, wanted in _named({"nlp": nlp, "components": components}):
        if not isinstance(wanted, str) or wanted not in _REGISTERED.get(registry, ()):
            return f"it names {registry} = {wanted!r}"
    return None


def _named(section: object) -> Iterator[tuple[str, object]]:
    """Every `@registry` key below a section, with what it names."""
    if isinstance(section, Mapping):
        for key, value in section.items():
            if str(key).startswith("@"):
                yield str(key), value
            yield from _named(value)
    elif isinstance(section, list):
        for value in section:
            yield from _named(value)
