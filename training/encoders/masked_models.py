"""Encoders with the head that guesses hidden words: from a base model, or with random weights.

Serves every family in udfs.package.model_families and takes the family's keys and names from there.
Knows nothing of texts or of training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel

from training.recipes.adaptation_settings import NewEncoder
from udfs.errors import InputError
from udfs.network.tokenization import WindowTokenizer
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_families import FAMILIES
from udfs.package.model_package import CONFIG, TOKENIZER

_MASKS = ("[MASK]", "<mask>")
_INNER = 4  # width of the inner layer divided by that of the hidden one, in all families


def open_masked_model(folder: Path, max_wordpieces: int) -> tuple[PreTrainedModel, bool]:
    """The encoder of a base model, and whether its head is new.

    Raises:
        InputError: the base model's inputs are too short.
    """
    shape = EncoderConfig.from_file(folder / CONFIG)
    if max_wordpieces > shape.longest_piece:
        raise InputError(
            f"max_wordpieces {max_wordpieces} must not exceed the base model's "
            f"{shape.longest_piece} positions"
        )
    model, loading = AutoModelForMaskedLM.from_pretrained(
        folder,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    prefix = shape.family.prefix
    return model, any(not name.startswith(prefix) for name in loading["missing_keys"])


def new_masked_model(
    new: NewEncoder, tokenizer: WindowTokenizer, max_wordpieces: int
) -> PreTrainedModel:
    """An encoder with random weights, drawn with torch's seed, for the ids of a tokenizer."""
    family = FAMILIES[new.family]
    # RoBERTa numbers its positions from the padding id + 1 on; it never uses those below.
    unused = tokenizer.pad_id + 1 if family.positions_after_padding else 0
    numbers = {
        "vocab_size": tokenizer.vocabulary_size,
        "hidden_size": new.hidden_size,
        "num_hidden_layers": new.layers,
        "num_attention_heads": new.heads,
        "intermediate_size": _INNER * new.hidden_size,
        "max_position_embeddings": max_wordpieces + unused,
    }
    if "embedding_size" in family.keys:
        numbers["embedding_size"] = new.embedding_size
    config = AutoConfig.for_model(
        new.family,
        pad_token_id=tokenizer.pad_id,
        bos_token_id=tokenizer.cls_id,
        eos_token_id=tokenizer.sep_id,
        **{family.keys.get(name, name): number for name, number in numbers.items()},
    )
    model: PreTrainedModel = AutoModelForMaskedLM.from_config(config)
    return model


def find_mask_id(folder: Path) -> int:
    """The id of the token that stands for a hidden word.

    Raises:
        InputError: the tokenizer has no such token.
    """
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    for mask in _MASKS:
        if (number := tokenizer.token_to_id(mask)) is not None:
            return int(number)
    raise InputError(f"base model {folder}: its tokenizer has no {' or '.join(_MASKS)}")
