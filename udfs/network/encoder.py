"""The forward pass of a token classifier of one of `model_families` in plain torch.

For inference only. It is written here rather than imported because a worker without `transformers`
starts in a fraction of the time, and because the batches of this project need nothing else of it.
It gives the logits of the `…ForTokenClassification` classes of `transformers` (tests compare
them). It knows ids and tensors: no text, no labels. Sources: Devlin et al. 2019 (BERT), Liu et al.
2019 (RoBERTa), Lan et al. 2020 (ALBERT), Sanh et al. 2019 (DistilBERT).
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

from udfs.errors import ModelPackageError
from udfs.network.packing import equal_runs, places_in_pieces
from udfs.package.encoder_config import EncoderConfig

_EMBEDDINGS = {
    "word": "embeddings.word_embeddings",
    "position": "embeddings.position_embeddings",
    "type": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
# Tensors that files of older releases hold; the logits do not depend on them.
_IGNORED = (
    "embeddings.position_ids",
    "embeddings.token_type_ids",
    "pooler.dense.weight",
    "pooler.dense.bias",
    "pooler.weight",
    "pooler.bias",
)


def expected_shapes(config: EncoderConfig, n_labels: int) -> dict[str, tuple[int, ...]]:
    """Every tensor that the network needs, by its name in the file, with its shape."""
    family, hidden, inner = config.family, config.hidden_size, config.intermediate_size
    narrow = config.embedding_size
    shapes: dict[str, tuple[int, ...]] = {}

    def matrix(name: str, rows: int, columns: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = (rows, columns)
        if bias:
            shapes[f"{name}.bias"] = (rows,)

    def norm(name: str, size: int) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (size,)

    embeddings = {ours: family.prefix + theirs for ours, theirs in _EMBEDDINGS.items()}
    matrix(embeddings["word"], config.vocab_size, narrow, bias=False)
    matrix(embeddings["position"], config.max_position_embeddings, narrow, bias=False)
    if config.type_vocab_size:
        matrix(embeddings["type"], config.type_vocab_size, narrow, bias=False)
    norm(embeddings["norm"], narrow)
    if family.projection is not None:
        matrix(family.projection, hidden, narrow)
    matrix("classifier", n_labels, hidden)
    for prefix in dict.fromkeys(config.layer_prefixes()):
        names = {ours: prefix + theirs for ours, theirs in family.layer.items()}
        for part in ("query", "key", "value", "attended"):
            matrix(names[part], hidden, hidden)
        matrix(names["inner"], inner, hidden)
        matrix(names["outer"], hidden, inner)
        norm(names["attended_norm"], hidden)
        norm(names["outer_norm"], hidden)
    return shapes


class Encoder:
    """The weights of one token classifier on one device, in one precision.

    Args:
        weights: path of `model.safetensors`.
        config: the shape of the network.
        n_labels: columns of the classifier.
        device: where it runs.
        dtype: `torch.float32` or `torch.bfloat16`; logits always come back as float32.

    Raises:
        ModelPackageError: a tensor is missing, has another shape, or the file is damaged.
    """

    def __init__(
        self,
        weights: Path,
        config: EncoderConfig,
        n_labels: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._config = config
        self._heads = config.num_attention_heads
        self._approximation = "tanh" if config.activation == "gelu_new" else "none"
        self.device = device
        tensors = needed_tensors(read_tensors(weights), config)
        refuse_misfits(weights, tensors, config, n_labels)
        self.parameters = sum(tensor.numel() for tensor in tensors.values())
        self._w = {name: t.to(device=device, dtype=dtype) for name, t in tensors.items()}
        order = config.layer_prefixes()
        layers = {prefix: self._layer_weights(prefix) for prefix in dict.fromkeys(order)}
        self._layers = [layers[prefix] for prefix in order]

    def _layer_weights(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of a layer, by our names."""
        own = {
            f"{ours}.{kind}": self._w.pop(f"{prefix}{theirs}.{kind}")
            for ours, theirs in self._config.family.layer.items()
            for kind in ("weight", "bias")
        }
        # One matrix product instead of three.
        for kind in ("weight", "bias"):
            parts = [own.pop(f"{name}.{kind}") for name in ("query", "key", "value")]
            own[f"qkv.{kind}"] = torch.cat(parts)
        return own

    @torch.inference_mode()
    def logits(
        self,
        ids: NDArray[np.int64],
        lengths: NDArray[np.int64],
        wanted: NDArray[np.int64] | None = None,
    ) -> Tensor:
        """Scores of every label for the positions of some pieces, without padding.

        Args:
            ids: `(positions,)` word-piece ids: pieces end to end, special tokens included.
            lengths: `(pieces,)` length of each. A piece attends to itself only. Neighbouring pieces
                of one length are computed together, so sort them.
            wanted: the positions that are asked for; None: all. After its attention, the last layer
                computes nothing for the others.

        Returns:
            `(wanted positions, labels)` float32, on the encoder's device.
        """
        x = self._embed(ids, lengths)
        runs = list(equal_runs(lengths))
        *inner, last = self._layers
        for layer in inner:
            x = self._run_layer(x, layer, runs)
        x = self._run_layer(x, last, runs, None if wanted is None else self._moved(wanted))
        return self._linear(x, self._w, "classifier").float()

    def _embed(self, ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensor:
        w, config = self._w, self._config
        names = {part: config.family.prefix + name for part, name in _EMBEDDINGS.items()}
        x = F.embedding(self._moved(ids), w[f"{names['word']}.weight"])
        places = self._moved(places_in_pieces(lengths) + config.first_position)
        x = x + F.embedding(places, w[f"{names['position']}.weight"])
        if config.type_vocab_size:
            x = x + w[f"{names['type']}.weight"][0]
        x = self._norm(x, w, names["norm"])
        projection = config.family.projection
        return x if projection is None else self._linear(x, w, projection)

    def _moved(self, numbers: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(numbers).to(self.device)

    def _run_layer(
        self,
        x: Tensor,
        w: dict[str, Tensor],
        runs: list[tuple[int, int]],
        wanted: Tensor | None = None,
    ) -> Tensor:
        qkv = self._linear(x, w, "qkv")
        context = torch.empty_like(x)
        begin = 0
        for pieces, length in runs:
            end = begin + pieces * length
            parts = qkv[begin:end].view(pieces, length, 3, self._heads, -1)
            q, k, v = parts.permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(q, k, v)
            context[begin:end] = attended.transpose(1, 2).reshape(end - begin, -1)
            begin = end
        if wanted is not None:
            x, context = x[wanted], context[wanted]
        x = self._norm(x + self._linear(context, w, "attended"), w, "attended_norm")
        inner = F.gelu(self._linear(x, w, "inner"), approximate=self._approximation)
        return self._norm(x + self._linear(inner, w, "outer"), w, "outer_norm")

    @staticmethod
    def _linear(x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def _norm(self, x: Tensor, w: dict[str, Tensor], name: str) -> Tensor:
        weight = w[f"{name}.weight"]
        eps = self._config.layer_norm_eps
        return F.layer_norm(x, weight.shape, weight, w[f"{name}.bias"], eps)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelPackageError: the file is damaged or is not one.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelPackageError(
            f"{path} is not a readable safetensors file ({type(error).__name__}): it is cut off "
            "or of another format; copy the package again"
        ) from None


def needed_tensors(tensors: dict[str, Tensor], config: EncoderConfig) -> dict[str, Tensor]:
    """The tensors without those that the logits do not depend on."""
    ignored = {config.family.prefix + name for name in _IGNORED}
    return {name: tensor for name, tensor in tensors.items() if name not in ignored}


def refuse_misfits(
    place: Path, tensors: dict[str, Tensor], config: EncoderConfig, n_labels: int
) -> None:
    """Compares tensors with the network that a config describes.

    Raises:
        ModelPackageError: a tensor is missing, unknown or of another shape; the message names
            `place`.
    """
    shapes = expected_shapes(config, n_labels)
    wrong = sorted(
        name
        for name in tensors.keys() | shapes.keys()
        if name not in shapes or name not in tensors or tuple(tensors[name].shape) != shapes[name]
    )
    if wrong:
        raise ModelPackageError(
            f"{place}: {len(wrong)} tensors do not fit a {config.family.architecture} of the shape "
            f"in config.json, the first is {wrong[0]}; use weights and config of the same model"
        )
