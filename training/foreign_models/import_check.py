"""Whether an imported package computes what transformers makes of the folder that it came from."""

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

# Logits of one network in two orders of summing; those of another network differ by whole numbers.
TOLERANCE = 1e-3


def open_in_transformers(
    package: Path, model_type: str, raw: Mapping[str, Any], columns: int
) -> PreTrainedModel:
    """The weights of the package under the config of the folder, as transformers reads that.

    Of the config only the plain values that every model of the family has, and none that is private
    (`_attn_implementation` makes transformers look for code of others). Raises ModelPackageError
    where transformers refuses them.
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
    except Exception as error:  # whatever a wrong value makes of its reader
        raise ModelPackageError(
            f"transformers cannot open the model ({type(error).__name__}); mend the values in its "
            f"{CONFIG}"
        ) from None
    return model.eval()


def compare_logits(
    package: Path, shape: EncoderConfig, manifest: ModelManifest, theirs: PreTrainedModel
) -> float:
    """The largest between our logits and those of transformers, of word-pieces drawn at random.

    Raises ModelPackageError where it is more than rounding.
    """
    cpu = torch.device("cpu")
    ours = Encoder(package / WEIGHTS, shape, len(manifest.labels), cpu, torch.float32)
    lengths = np.array([manifest.max_wordpieces, min(7, manifest.max_wordpieces)])
    ids = np.random.default_rng(0).integers(1, shape.vocab_size, lengths.sum())
    ids[ids == shape.first_position - 1] -= 1  # RoBERTa's padding has no position of its own
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
