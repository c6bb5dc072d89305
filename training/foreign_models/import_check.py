"""Whether an imported package gives the logits that transformers gives for the original folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedModel

from udfs.errors import ModelPackageError
from udfs.network.encoder import Encoder
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, WEIGHTS, ModelManifest

# The order of summing changes the logits of one network by less than this; the logits of another
# network differ by whole numbers.
TOLERANCE = 1e-3


def open_in_transformers(
    package: Path, model_type: str, raw: Mapping[str, Any], columns: int
) -> PreTrainedModel:
    """Opens the package's weights in transformers, under the config of the original folder.

    Only plain values under keys that every model of the family has are taken from the config.
    Private keys are left out: `_attn_implementation` makes transformers look for code of others.

    Args:
        package: the folder with our weights.
        model_type: the family, as transformers calls it.
        raw: the `config.json` of the original folder.
        columns: the number of tags.

    Raises:
        ModelPackageError: transformers refuses the config or the weights.
    """
    known = AutoConfig.for_model(model_type).to_dict()
    plain = {
        key: value
        for key, value in raw.items()
        if key in known and not key.startswith("_") and isinstance(value, int | float | str)
    }
    plain.pop("model_type", None)
    try:
        config = AutoConfig.for_model(model_type, **{**plain, "num_labels": columns})
        model: PreTrainedModel = AutoModelForTokenClassification.from_pretrained(
            package,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
        )
    except Exception as error:  # a wrong value may raise anything
        raise ModelPackageError(
            f"transformers cannot open the model ({type(error).__name__}); mend the values in its "
            f"{CONFIG}"
        ) from None
    return model.eval()


def compare_logits(
    package: Path, shape: EncoderConfig, manifest: ModelManifest, theirs: PreTrainedModel
) -> float:
    """The largest difference between our logits and those of transformers.

    Both score the same two sequences of random word-pieces: one of the longest input, one of 7.

    Raises:
        ModelPackageError: the difference is more than rounding.
    """
    cpu = torch.device("cpu")
    ours = Encoder(package / WEIGHTS, shape, len(manifest.labels), cpu, torch.float32)
    lengths = np.array([manifest.max_wordpieces, min(7, manifest.max_wordpieces)])
    ids = np.random.default_rng(0).integers(1, shape.vocab_size, lengths.sum())
    ids[ids == shape.first_position - 1] -= 1  # RoBERTa gives a padding id no position
    with torch.inference_mode():
        pieces = torch.from_numpy(ids).split(lengths.tolist())
        expected = torch.cat([theirs(input_ids=piece[None]).logits[0] for piece in pieces])
    difference = float((ours.logits(ids, lengths) - expected).abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
        raise ModelPackageError(
            f"{manifest.base_model}: our logits differ from those of transformers by "
            f"{difference:.2g}: it is not quite a {shape.family.architecture}, so it cannot be run"
        )
    return difference
