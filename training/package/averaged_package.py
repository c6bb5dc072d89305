"""The mean of several packages' weights as one package, whole or not at all.

Owns which packages may be averaged, a shift of the mean towards the tag O, and what manifest and
card say of the sources. Packages that began as one model lie in one basin of the loss. So their
mean is a working model too, often a better one, and runs in the time of one model (Wortsman et al.
2022, arXiv:2203.05482). The files do not show whether a mean works.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.package.ancestry import descent
from training.package.card_metadata import split_card
from training.package.model_card import CARD, OWN_ROWS, made_rows, render_card
from training.package.package_writing import write_whole
from udfs.decoding.score_calibration import UNCALIBRATED
from udfs.errors import InputError
from udfs.network.encoder import needed_tensors, read_tensors, refuse_misfits
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import (
    CONFIG,
    ENCODER,
    TOKENIZER,
    WEIGHTS,
    ModelManifest,
    load_manifest,
)

_BIAS = "classifier.bias"
# Fields of the manifest in which all packages must agree -> what an error message calls them.
_SAME = {
    "labels": "tags",
    "label_scheme": "kind of tags",
    "decoding": "decoding",
    "max_wordpieces": "longest input",
    "overlap": "overlap",
}
_SAME_FILES = {CONFIG: "network", TOKENIZER: "tokenizer"}


def write_averaged(
    sources: Sequence[Path],
    target: Path,
    command: str,
    name: str | None = None,
    outside_bias: float = 0.0,
) -> ModelManifest:
    """Writes the package of the mean weights; other files are copied from the first source.

    Each tensor is averaged in float32 and gets the type that it has in the first source. The scores
    and calibrations of the sources are dropped, because they belong to other weights.

    Args:
        sources: two packages or more, of one network, tokenizer, tags and window rule.
        target: a new folder.
        command: the command line that the card gives as its origin.
        name: the name of the model; None: the name of the target folder.
        outside_bias: what is added to the bias of the tag O, in logits. Above 0, fewer mentions
            are found, and a larger share of them is right.

    Raises:
        InputError: the bias is no finite number, there are fewer than two packages, they differ,
            one is named twice, or `target` exists.
        ModelPackageError: a source is no sound package, or its weights do not fit its config.
    """
    if not math.isfinite(outside_bias):
        raise InputError(f"the bias of O must be a number of logits, not {outside_bias}")
    manifests = [load_manifest(folder) for folder in sources]
    _refuse_misfits(sources, manifests)
    digests = {manifest.training_data_digest for manifest in manifests}
    first = manifests[0]
    averaged = dataclasses.replace(
        first,
        name=name or target.resolve().name,
        files={},
        base_model=", ".join(dict.fromkeys(manifest.base_model for manifest in manifests)),
        training_data_digest=digests.pop() if len(digests) == 1 else "",
        scores={},
        calibration=UNCALIBRATED,
        learnt_from=tuple(descent((folder, "averaged") for folder in sources)),
    )
    cards = [
        (folder / CARD).read_text(encoding="utf-8") if CARD in manifest.files else ""
        for folder, manifest in zip(sources, manifests, strict=True)
    ]
    weights = _mean(sources, len(first.labels))
    weights[_BIAS][first.labels.index("O")] += outside_bias

    def fill(draft: Path) -> None:
        for file in first.files:
            if file not in (WEIGHTS, CARD):
                shutil.copyfile(sources[0] / file, draft / file)
        save_file(weights, draft / WEIGHTS, metadata={"format": "pt"})
        facts = {
            "Weights": f"the mean of those of {len(sources)} models",
            "Command": f"`{command}`",
        }
        if outside_bias:
            facts["Bias of O"] = f"{outside_bias:+g} logits"
        facts |= _facts_of_sources(manifests, cards)
        datasets = dict.fromkeys(
            d for card in cards for d in split_card(card)[0].get("datasets", ())
        )
        (draft / CARD).write_text(render_card(averaged, facts, list(datasets)), encoding="utf-8")

    return write_whole(target, averaged, fill)


def _refuse_misfits(sources: Sequence[Path], manifests: Sequence[ModelManifest]) -> None:
    if len(sources) < 2:
        raise InputError("a mean needs two packages or more; name each with --model")
    first = manifests[0]
    prints = Counter(manifest.fingerprint for manifest in manifests)
    for folder, manifest in zip(sources, manifests, strict=True):
        if manifest.kind != ENCODER:
            raise InputError(
                f"{folder} is a package of {manifest.kind}: it has no weights to average"
            )
        if prints[manifest.fingerprint] > 1:
            raise InputError(f"{folder} has the weights of another one that is named: name it once")
        differing = [
            said for key, said in _SAME.items() if getattr(manifest, key) != getattr(first, key)
        ]
        differing += [
            said for file, said in _SAME_FILES.items() if manifest.files[file] != first.files[file]
        ]
        if differing:
            raise InputError(
                f"{folder} differs from {sources[0]} in {', '.join(differing)}: only packages that "
                "began as the same model can be averaged"
            )


def _mean(sources: Sequence[Path], n_labels: int) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = {}
    types: dict[str, torch.dtype] = {}
    for folder in sources:
        config = EncoderConfig.from_file(folder / CONFIG)
        tensors = needed_tensors(read_tensors(folder / WEIGHTS), config)
        refuse_misfits(folder, tensors, config, n_labels)
        for name, tensor in tensors.items():
            before = sums.get(name)
            sums[name] = tensor.float() if before is None else before + tensor.float()
            types.setdefault(name, tensor.dtype)
    return {name: (total / len(sources)).to(types[name]) for name, total in sums.items()}


def _facts_of_sources(manifests: Sequence[ModelManifest], cards: Sequence[str]) -> dict[str, str]:
    """How the sources were made, from their cards.

    Rows that all share come once; the others come once per source, under its name.
    """
    made = [
        {key: value for key, value in made_rows(card).items() if key not in OWN_ROWS}
        for card in cards
    ]
    shared = {
        key: value for key, value in made[0].items() if all(m.get(key) == value for m in made)
    }
    own = {
        f"{manifest.name}, {manifest.fingerprint[:8]}: {key}": value
        for manifest, rows in zip(manifests, made, strict=True)
        for key, value in rows.items()
        if key not in shared
    }
    return {**{key: value for key, value in shared.items() if key != "Command"}, **own}
