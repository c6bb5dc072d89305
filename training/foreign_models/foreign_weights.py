"""The weights in a folder that others have written -> tensors by name.

This is the one place that opens a `pytorch_model.bin`. It uses torch's weights-only reader, which
makes tensors and plain containers and refuses everything else in the pickle.
"""

from __future__ import annotations

from pathlib import Path

import torch

from udfs.errors import InputError
from udfs.network.encoder import read_tensors
from udfs.package.model_package import WEIGHTS

PYTORCH_WEIGHTS = "pytorch_model.bin"
_KEPT = (torch.float32, torch.float16, torch.bfloat16)
# Endings of layer norm tensors in files converted from TensorFlow -> their endings today.
_OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}


def read_foreign_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of `model.safetensors`, else of `pytorch_model.bin`.

    Raises:
        InputError: there is neither file, or `pytorch_model.bin` is damaged or holds anything but
            tensors.
        ModelPackageError: the safetensors file is damaged.
    """
    if (folder / WEIGHTS).is_file():
        found = read_tensors(folder / WEIGHTS)
    elif (folder / PYTORCH_WEIGHTS).is_file():
        found = _read_pytorch(folder / PYTORCH_WEIGHTS)
    else:
        parts = sorted(path.name for path in folder.glob("*.index.json"))
        why = f"its weights are in parts ({parts[0]})" if parts else "it has no weights"
        raise InputError(
            f"{folder}: {why}; save the model as one {WEIGHTS} "
            "(save_pretrained with a large max_shard_size)"
        )
    return {_new_name(name): _own(tensor) for name, tensor in found.items()}


def _read_pytorch(path: Path) -> dict[str, torch.Tensor]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{path} is not readable as plain weights ({type(error).__name__}): it is damaged, or "
            f"holds objects that could run code; take a copy of the model with {WEIGHTS}"
        ) from None
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in found.items()
    ):
        raise InputError(f"{path} is no table of tensors; take a copy of the model with {WEIGHTS}")
    return found


def _new_name(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        if name.endswith(f"LayerNorm{old}"):
            return name.removesuffix(old) + new
    return name


def _own(tensor: torch.Tensor) -> torch.Tensor:
    kept = tensor if tensor.dtype in _KEPT or not tensor.is_floating_point() else tensor.float()
    return kept.detach().clone().contiguous()  # safetensors cannot save tensors that share memory
