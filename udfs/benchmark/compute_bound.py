"""Measures the engine alone and the best that the processor can do: the bound for all speeds.

For the benchmark only: nothing of the product imports it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from udfs.classifiers.token_classifier import TokenClassifier
from udfs.network.devices import resolve_device, resolve_precision
from udfs.network.tokenization import SPECIAL_TOKENS, WindowTokenizer
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import CONFIG, TOKENIZER

# Rows of the measured product: a layer's largest product, over a batch of 4,096 word-pieces.
ROWS = 4096
SECONDS = 2.0
# Windows that a worker sorts at a time, as in the settings.
BUFFER_WINDOWS = 4096


def flops_per_wordpiece(config: EncoderConfig, length: float, labels: int) -> float:
    """Floating-point operations of one word-piece in a window of `length`, matrix products only.

    Args:
        config: of the network.
        length: word-pieces in a window, special tokens included.
        labels: columns of the classifier.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    layers = config.num_hidden_layers * config.inner_group_num
    dense = 4 * hidden * hidden + 2 * hidden * inner
    attention = 2 * length * hidden
    return 2.0 * (layers * (dense + attention) + hidden * labels)


def product_rate(config: EncoderConfig, dtype: torch.dtype, threads: int) -> float:
    """Floating-point operations a second of a matrix product of the network's shape.

    Args:
        config: of the network.
        dtype: in which precision.
        threads: of this process.
    """
    torch.set_num_threads(threads)
    left = torch.randn(ROWS, config.hidden_size).to(dtype)
    right = torch.randn(config.hidden_size, config.intermediate_size).to(dtype)
    best = float("inf")
    with torch.inference_mode():
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            started = time.perf_counter()
            left @ right
            best = min(best, time.perf_counter() - started)
    return 2.0 * ROWS * config.hidden_size * config.intermediate_size / best


def measure_engine(folder: Path, windows: Sequence[str], threads: int) -> dict[str, float]:
    """The classifier over some windows, in buffers as Spark's workers fill them.

    Args:
        folder: the model package.
        windows: texts, each once.
        threads: of this process.

    Returns:
        `seconds`, `wordpieces` and `tokenizing_seconds` of the windows, and the bound:
        `flops` a second of a matrix product, `flops_per_wordpiece`, and `bound`, the
        word-pieces a second if only products took time.
    """
    classifier = TokenClassifier.load(folder, device="cpu", threads=threads)
    classifier.predict(windows[:BUFFER_WINDOWS])  # warm
    started = time.perf_counter()
    wordpieces = 0
    for begin in range(0, len(windows), BUFFER_WINDOWS):
        buffer = windows[begin : begin + BUFFER_WINDOWS]
        wordpieces += sum(found.wordpieces for found in classifier.predict(buffer))
    seconds = time.perf_counter() - started
    tokenizer = WindowTokenizer.from_file(folder / TOKENIZER)
    started = time.perf_counter()
    tokenizer.encode(windows)
    tokenizing = time.perf_counter() - started
    config = EncoderConfig.from_file(folder / CONFIG)
    dtype = resolve_precision("auto", resolve_device("cpu"))
    rate = product_rate(config, dtype, threads)
    length = wordpieces / max(1, len(windows)) + SPECIAL_TOKENS
    each = flops_per_wordpiece(config, length, len(classifier.manifest.labels))
    return {
        "seconds": seconds,
        "wordpieces": wordpieces,
        "tokenizing_seconds": tokenizing,
        "flops": rate,
        "flops_per_wordpiece": each,
        "bound": rate / each,
    }
