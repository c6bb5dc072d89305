"""The YAML at the head of a package's README, by which hubs list, search and judge a model.

Owns its keys and its place in the card. `training.package.model_card` owns the text below it. Knows
nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from udfs.errors import ModelPackageError
from udfs.package.model_package import ENCODER, ModelManifest

Metadata = dict[str, Any]
# Known base models: beginning of their name in a manifest -> (name on the hub, licence).
_KNOWN_BASES = {"all-MiniLM-L6-v2 ": ("sentence-transformers/all-MiniLM-L6-v2", "apache-2.0")}
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_BLOCK = re.compile(r"---\n(.*?)^---\n+", re.DOTALL | re.MULTILINE)
_TASK = "token-classification"
_METRICS = ("precision", "recall", "f1")


def card_metadata(
    manifest: ModelManifest, datasets: Sequence[str] = (), language: str | None = None
) -> Metadata:
    """The metadata of a package for a hub; what is not known is left out, also the licence.

    Args:
        manifest: the manifest of the package.
        datasets: names of the corpora that it was trained on.
        language: the language of their texts.
    """
    base, licence = _base(manifest.base_model)
    found = {
        "language": language,
        "license": licence,
        # Only Clinspan opens a package of spaCy's kind.
        "library_name": "transformers" if manifest.kind == ENCODER else None,
        "pipeline_tag": _TASK,
        "base_model": base,
        "tags": ["clinspan", "named-entity-recognition"],
        "datasets": list(datasets) or None,
    }
    return with_scores({key: value for key, value in found.items() if value is not None}, manifest)


def with_scores(metadata: Mapping[str, Any], manifest: ModelManifest) -> Metadata:
    """The metadata with a new `model-index`, which holds only the scores of this very model."""
    results = [
        {
            "task": {"type": _TASK, "name": "Named entity recognition"},
            "dataset": {"type": corpus, "name": corpus, "split": part},
            "metrics": list(_metrics(entry)),
        }
        for key, entry in own_scores(manifest).items()
        for corpus, _, part in [key.partition(" ")]
    ]
    kept = {key: value for key, value in metadata.items() if key != "model-index"}
    if results:
        kept["model-index"] = [{"name": manifest.name, "results": results}]
    return kept


def own_scores(manifest: ModelManifest) -> dict[str, Any]:
    """The recorded scores of this very model, without those of models recorded for comparison."""
    return {
        key: entry
        for key, entry in sorted(manifest.scores.items())
        if entry.get("model_fingerprint") == manifest.fingerprint
    }


def interval_of(entry: Mapping[str, Any], row: str, score: str) -> list[float] | None:
    """The two ends of the 95 % interval of a strict score; None where it was not recorded."""
    strict = entry.get("measures", {}).get("strict", {})
    found: list[float] | None = strict.get(row, {}).get(score, {}).get("interval")
    return found


def split_card(card: str) -> tuple[Metadata, str]:
    """The metadata of a card, and the text below it; a card without metadata gives an empty dict.

    Raises:
        ModelPackageError: the block at the head is not a YAML mapping.
    """
    block = _BLOCK.match(card)
    if block is None:
        return {}, card
    try:
        metadata = yaml.safe_load(block[1])
    except yaml.YAMLError:
        metadata = None
    if not isinstance(metadata, dict):
        raise ModelPackageError("the block between --- at the head of the card must be YAML keys")
    return metadata, card[block.end() :]


def join_card(metadata: Mapping[str, Any], words: str) -> str:
    """A card: the metadata, then the text."""
    block = yaml.safe_dump(dict(metadata), sort_keys=False, allow_unicode=True)
    return f"---\n{block}---\n\n{words}"


def _base(name: str) -> tuple[str | None, str | None]:
    for beginning, known in _KNOWN_BASES.items():
        if name.startswith(beginning):
            return known
    return (name, None) if _HUB_NAME.fullmatch(name) else (None, None)


def _metrics(entry: Mapping[str, Any]) -> Iterator[Metadata]:
    for row, scores in entry["scores"].items():
        for score in _METRICS:
            metric = {"type": score, "name": f"{score} (strict, {row})", "value": scores[score]}
            interval = interval_of(entry, row, score)
            yield metric if interval is None else {**metric, "args": {"interval_95": interval}}
