"""The forward pass of a BERT token classifier in plain torch, for inference only.

Written here rather than imported because a worker without ``transformers`` starts in a fraction
of the time, and because the batches of this project need nothing else of it. It gives the logits
of ``transformers.BertForTokenClassification`` (a test compares them). It knows ids and tensors:
no text, no labels. Source: Devlin et al. 2019, and the tensor names of the Hugging Face library.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from udfs.bert_config import BertConfig
from udfs.errors import ModelPackageError
from udfs.packing import equal_runs, places_in_pieces

_LAYER = "bert.encoder.layer.{}."
_IGNORED = ("bert.embeddings.position_ids", "bert.pooler.dense.weight", "bert.pooler.dense.bias")


def expected_shapes(config: BertConfig, n_labels: int) -> dict[str, tuple[int, ...]]:
    """Every tensor that the network needs, with its shape."""
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "bert.embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "bert.embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "bert.embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
        "bert.embeddings.LayerNorm.weight": (hidden,),
        "bert.embeddings.LayerNorm.bias": (hidden,),
        "classifier.weight": (n_labels, hidden),
        "classifier.bias": (n_labels,),
    }
    dense = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (inner, hidden),
        "output.dense": (hidden, inner),
    }
    for layer in range(config.num_hidden_layers):
        prefix = _LAYER.format(layer)
        for name, shape in dense.items():
            shapes[f"{prefix}{name}.weight"] = shape
            shapes[f"{prefix}{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{prefix}{name}.weight"] = (hidden,)
            shapes[f"{prefix}{name}.bias"] = (hidden,)
    return shapes


class BertEncoder:
    """The weights of one BERT token classifier on one device, in one precision.

    Args:
        weights: path of ``model.safetensors``.
        config: the shape of the network.
        n_labels: columns of the classifier.
        device: where it runs.
        dtype: ``torch.float32`` or ``torch.bfloat16``; logits always come back as float32.

    Raises:
        ModelPackageError: a tensor is missing, has another shape, or the file is damaged.
    """

    def __init__(
        self,
        weights: Path,
        config: BertConfig,
        n_labels: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._config = config
        self._heads = config.num_attention_heads
        self.device = device
        tensors = _read_tensors(weights, expected_shapes(config, n_labels))
        self._w = {name: t.to(device=device, dtype=dtype) for name, t in tensors.items()}
        self._layers = [self._layer_weights(i) for i in range(config.num_hidden_layers)]

    def _layer_weights(self, layer: int) -> dict[str, Tensor]:
        prefix = _LAYER.format(layer)
        names = [name for name in self._w if name.startswith(prefix)]
        own = {name.removeprefix(prefix): self._w.pop(name) for name in names}
        # One matrix product instead of three.
        for kind in ("weight", "bias"):
            parts = [own.pop(f"attention.self.{name}.{kind}") for name in ("query", "key", "value")]
            own[f"qkv.{kind}"] = torch.cat(parts)
        return own

    @torch.inference_mode()
    def logits(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensor:
        """Scores of every label for every position of some pieces, which are not padded.

        Args:
            ids: ``(positions,)`` word-piece ids: pieces end to end, special tokens included.
            lengths: ``(pieces,)`` of each. A piece attends to itself only; those of one length that
                stand side by side are worked on together, so sort them.

        Returns:
            ``(positions, labels)`` float32, on the encoder's device.
        """
        w = self._w
        x = F.embedding(self._moved(ids), w["bert.embeddings.word_embeddings.weight"])
        places = self._moved(places_in_pieces(lengths))
        x = x + F.embedding(places, w["bert.embeddings.position_embeddings.weight"])
        x = x + w["bert.embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, w, "bert.embeddings.LayerNorm")
        runs = list(equal_runs(lengths))
        for layer in self._layers:
            x = self._run_layer(x, layer, runs)
        return F.linear(x, w["classifier.weight"], w["classifier.bias"]).float()

    def _moved(self, numbers: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)

    def _run_layer(self, x: Tensor, w: dict[str, Tensor], runs: list[tuple[int, int]]) -> Tensor:
        qkv = F.linear(x, w["qkv.weight"], w["qkv.bias"])
        context = torch.empty_like(x)
        begin = 0
        for pieces, length in runs:
            end = begin + pieces * length
            parts = qkv[begin:end].view(pieces, length, 3, self._heads, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v)
            context[begin:end] = attended.transpose(1, 2).reshape(end - begin, -1)
            begin = end
        attended = F.linear(
            context, w["attention.output.dense.weight"], w["attention.output.dense.bias"]
        )
        x = self._norm(x + attended, w, "attention.output.LayerNorm")
        inner = F.gelu(F.linear(x, w["intermediate.dense.weight"], w["intermediate.dense.bias"]))
        outer = F.linear(inner, w["output.dense.weight"], w["output.dense.bias"])
        return self._norm(x + outer, w, "output.LayerNorm")

    def _norm(self, x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
        shape = (self._config.hidden_size,)
        eps = self._config.layer_norm_eps
        return F.layer_norm(x, shape, w[f"{name}.weight"], w[f"{name}.bias"], eps)


def _read_tensors(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelPackageError(
            f"{path} is not a readable safetensors file ({type(error).__name__}): it is cut off "
            "or of another format; copy the package again"
        ) from None
    for name in _IGNORED:
        tensors.pop(name, None)
    wrong = sorted(
        name
        for name in tensors.keys() | shapes.keys()
        if name not in shapes or name not in tensors or tuple(tensors[name].shape) != shapes[name]
    )
    if wrong:
        raise ModelPackageError(
            f"{path}: {len(wrong)} tensors do not fit a BERT token classifier of the shape in "
            f"config.json, the first is {wrong[0]}; use weights and config of the same model"
        )
    return tensors
