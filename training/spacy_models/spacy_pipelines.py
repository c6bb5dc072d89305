"""spaCy pipelines in folders -> model packages.

Owns which components of a pipeline a package keeps: its recognisers and what they depend on. Reads
no code, and only the files of the kept components. The words that the pipeline has seen are left
out: no recogniser needs them, and with them a package would hold words of notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.package.model_card import CARD
from training.package.package_writing import check_output_folder, write_json, write_whole
from training.spacy_models.spacy_card import render_spacy_card
from training.spacy_models.spacy_folders import SPACY_CONFIG
from udfs.classifiers.spacy_classifier import SpacyClassifier, build_pipeline, entity_labels
from udfs.decoding.label_scheme import PLAIN
from udfs.errors import InputError, ModelPackageError
from udfs.package.model_package import CONFIG, NAME_RULE, PIPELINE, SPACY, ModelManifest, is_name
from udfs.package.spacy_config import FACTORIES, NER, SpacyConfig

# Components that change neither entities nor what a recogniser reads of tokens.
_WITHOUT_EFFECT = frozenset(
    {
        *("tagger", "morphologizer", "attribute_ruler", "lemmatizer", "trainable_lemmatizer"),
        *("textcat", "textcat_multilabel", "spancat", "spancat_singlelabel", "entity_linker"),
    }
)
_NLP_KEYS = ("lang", "tokenizer", "vectors", "batch_size")
_CHECKED = (
    "Started aspirin 81 mg daily for severe headache, no fever or chills.",
    "Pt c/o chest pain. Hx: CHF, DM2\nMeds: metformin 500 mg po bid; warfarin (held)",
    "Methotrexate-induced hepatotoxicity was seen in 3/40 patients with rheumatoid arthritis.",
)


@dataclass(frozen=True)
class PipelineRequest:
    """Which pipeline becomes which package.

    `origin` is the pipeline's name in the manifest. `renames` maps old to new names of labels.
    `training_data_digest` and `card_facts` are known only of pipelines that were trained here.
    """

    source: Path
    output: Path
    name: str
    origin: str
    renames: Mapping[str, str]
    training_data_digest: str = ""
    card_facts: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InputError(f"the name {self.name!r} of the model {NAME_RULE}; give --name")


@dataclass(frozen=True)
class MadePackage:
    """The manifest, the components kept and left out, and the number of parameters."""

    manifest: ModelManifest
    kept: list[str]
    left_out: list[str]
    parameters: int


def make_package(request: PipelineRequest) -> MadePackage:
    """Writes the package, whole or not at all, if it finds in `_CHECKED` what the pipeline finds.

    Raises:
        InputError: the pipeline is not one that this project runs, or it lacks a renamed label.
        ModelPackageError: the package does not find what the pipeline finds.
    """
    check_output_folder(request.output)
    whole = _read_config(request.source)
    config = _kept(whole, request.renames)
    nlp = build_pipeline(config)
    try:
        nlp.from_disk(request.source, exclude=["strings"])
    except Exception as error:  # spaCy, thinc and srsly each raise their own
        raise InputError(
            f"the files in {request.source} do not fit its {SPACY_CONFIG} "
            f"({type(error).__name__}): it is damaged, or of another release of spaCy"
        ) from None
    found = entity_labels(nlp, SpacyConfig(config.nlp, config.components))
    if unknown := sorted(set(request.renames) - set(found)):
        raise InputError(f"no label is called {', '.join(unknown)}; there are {', '.join(found)}")
    labels = entity_labels(nlp, config)
    manifest = ModelManifest(
        name=request.name,
        labels=("O", *labels),
        files={},
        base_model=request.origin,
        training_data_digest=request.training_data_digest,
        label_scheme=PLAIN,
        kind=SPACY,
    )
    card = render_spacy_card(manifest, nlp.vocab.vectors.shape, request.card_facts)
    parameters = []

    def fill(draft: Path) -> None:
        write_json(draft / CONFIG, config.to_dict())
        (draft / PIPELINE).write_bytes(nlp.to_bytes(exclude=[SPACY_CONFIG, "strings"]))
        (draft / CARD).write_text(card, encoding="utf-8")

    def check(draft: Path) -> None:
        packaged = SpacyClassifier.load(draft, "cpu")
        parameters.append(packaged.parameters)
        for text, answer in zip(_CHECKED, packaged.predict(_CHECKED), strict=True):
            ours = [(span.begin, span.end) for span in answer.spans]
            if ours != [(entity.start_char, entity.end_char) for entity in nlp(text).ents]:
                raise ModelPackageError("the package does not find what its pipeline finds")

    complete = write_whole(request.output, manifest, fill, check)
    left_out = [name for name in whole["nlp"]["pipeline"] if name not in config.components]
    return MadePackage(complete, list(config.nlp["pipeline"]), left_out, parameters[0])


def _read_config(folder: Path) -> dict[str, Any]:
    """All of `config.cfg`, with variables filled in."""
    from spacy.util import load_config

    try:
        config = load_config(folder / SPACY_CONFIG, interpolate=True)
        whole = {**config, "nlp": dict(config["nlp"]), "components": dict(config["components"])}
        whole["nlp"]["pipeline"] = list(whole["nlp"]["pipeline"])
    except Exception as error:  # confection's messages quote whole sections
        raise InputError(
            f"{folder / SPACY_CONFIG} cannot be read ({type(error).__name__}): it must be that of "
            "a pipeline of spaCy 3"
        ) from None
    return whole


def _kept(whole: Mapping[str, Any], names: Mapping[str, str]) -> SpacyConfig:
    nlp, components = whole["nlp"], whole["components"]
    disabled = set(nlp.get("disabled") or ())
    kept = {}
    for name in nlp["pipeline"]:
        component = components.get(name, {})
        factory = component.get("factory")
        if name in disabled or factory in _WITHOUT_EFFECT:
            continue
        if factory is not None and "transformer" in str(factory):
            raise InputError(
                f"the component {name!r} is a transformer ({factory}): pipelines with tok2vec are "
                "imported, and models of transformers from their own folders"
            )
        if factory not in FACTORIES:
            raise InputError(
                f"the component {name!r} is made by {factory!r}, which may change entities and "
                f"which is not run here; take it out of the pipeline and save that anew"
            )
        kept[name] = dict(component)
    last = max((i for i, name in enumerate(kept) if kept[name]["factory"] == NER), default=-1)
    kept = dict(list(kept.items())[: last + 1])  # no recogniser depends on later components
    plain = {key: nlp[key] for key in _NLP_KEYS if key in nlp}
    return SpacyConfig({**plain, "pipeline": list(kept)}, kept, dict(names))
