"""A model of a hub -> a folder on this machine, fetched only where a user asks for it by name."""

from __future__ import annotations

import re
from pathlib import Path

import huggingface_hub

from udfs.errors import InputError

_NAME = re.compile(r"[\w.-]+/[\w.-]+|[\w.-]+")
# No code, and of the weights only what training.foreign_weights reads.
_FILES = (
    "config.json",
    "model.safetensors",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)


def fetch_model(name: str) -> Path:
    """Fetches what makes up a model, or finds it in the cache of an earlier fetch.

    Raises InputError where the name is none, or the hub cannot be reached or does not have it.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a hub: these are like owner/model")
    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as error:  # of the network, of the hub, of the disk
        raise InputError(
            f"{name} could not be fetched ({type(error).__name__}) and is not in the cache: where "
            f"there is a network, run `hf download {name} --local-dir FOLDER`, bring the folder "
            "here and name it with --model, without --from-hub"
        ) from None
