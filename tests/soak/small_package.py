"""A model package of one layer, cut out of a larger one: fast, and good only to test the rest.

It keeps the tokenizer, so that word-pieces are those of the real model.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file

from udfs.package.model_package import load_manifest, sha256_of, write_manifest

_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")


def cut_layers(package: Path, target: Path, layers: int = 1) -> Path:
    """Writes a package with the first layers of another one.

    Args:
        package: a model package.
        target: a new folder.
        layers: how many stay.
    """
    manifest = load_manifest(package)
    target.mkdir(parents=True)
    for name in manifest.files:
        shutil.copy(package / name, target / name)
    weights = load_file(package / "model.safetensors")
    kept = {name: w for name, w in weights.items() if _layer_of(name) < layers}
    save_file(kept, target / "model.safetensors")
    config = json.loads((package / "config.json").read_text())
    config["num_hidden_layers"] = layers
    (target / "config.json").write_text(json.dumps(config))
    files = {name: sha256_of(target / name) for name in manifest.files}
    small = replace(manifest, name=f"{manifest.name}-{layers}-layer", files=files)
    write_manifest(target, small)
    return target


def _layer_of(weight: str) -> int:
    found = _LAYER.search(weight)
    return int(found[1]) if found else -1
