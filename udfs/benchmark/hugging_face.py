"""What a user would otherwise run on the same weights, in Spark's Python workers: the peers.

Hugging Face's pipeline as most people write it, and tuned as well as we can. Plain Python over
lists of texts; `pipelines.benchmark.peers` puts it into the kinds of UDF that Spark and MLflow
offer. For the benchmark only: nothing of the product imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

Finder = Callable[[Sequence[str]], list[list[dict[str, Any]]]]
# The batch size that most people write.
PLAIN_BATCH = 16
# Word-pieces that two pieces of a long note share, and the most in one.
STRIDE = 32
LONGEST_PIECE = 512


@cache
def plain_finder(folder: str, threads: int) -> Finder:
    """`pipeline("token-classification")` in float32; long notes in overlapping pieces.

    Args:
        folder: the model package, which opens in transformers.
        threads: of this process.
    """
    ner = _pipeline(folder, threads, "float32", "simple")

    def find(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        return [_mentions(found) for found in ner(list(texts), batch_size=PLAIN_BATCH)]

    return find


@cache
def tuned_finder(folder: str, threads: int, batch_size: int) -> Finder:
    """The same pipeline, tuned: bfloat16, texts sorted by length, and mentions of whole words.

    It uses bfloat16 where the processor has it. As most people write the pipeline, a mention may be
    a few word-pieces of a word.

    Args:
        folder: the model package, which opens in transformers.
        threads: of this process.
        batch_size: pieces in one forward pass.
    """
    ner = _pipeline(folder, threads, "auto", "first")

    def find(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        answers = ner([texts[i] for i in order], batch_size=batch_size)
        found: list[list[dict[str, Any]]] = [[] for _ in texts]
        for i, answer in zip(order, answers, strict=True):
            found[i] = _mentions(answer)
        return found

    return find


def _pipeline(folder: str, threads: int, precision: str, aggregation: str) -> Any:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    from udfs.network.devices import resolve_device, resolve_precision

    torch.set_num_threads(threads)
    dtype = resolve_precision(precision, resolve_device("cpu"))
    model = AutoModelForTokenClassification.from_pretrained(
        folder, local_files_only=True, dtype=dtype
    )
    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, model_max_length=LONGEST_PIECE
    )
    return pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy=aggregation,
        stride=STRIDE,
    )


def _mentions(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "begin": mention["start"],
            "end": mention["end"],
            "label": mention["entity_group"],
            "score": float(mention["score"]),
        }
        for mention in found
    ]
