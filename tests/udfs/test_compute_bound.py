"""The bound: operations counted by hand, and figures of the engine that hold together."""

import pytest
import torch

from udfs.bert_config import BertConfig
from udfs.compute_bound import flops_per_wordpiece, measure_engine, product_rate


def config(layers: int) -> BertConfig:
    return BertConfig(
        vocab_size=100,
        hidden_size=8,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
    )


def test_products_are_counted_once_each():
    # query, key, value, output: 4·8·8; two of 8·16; attention of 10 places: 2·10·8; 3 labels.
    assert flops_per_wordpiece(config(1), 10, 3) == 2 * (256 + 256 + 160 + 24)
    assert flops_per_wordpiece(config(5), 10, 3) == 2 * (5 * (256 + 256 + 160) + 24)


def test_a_product_takes_time():
    assert 0 < product_rate(config(1), torch.float32, 1) < 1e15


def test_the_engine_reports_padding_and_its_bound(random_package):
    equal = measure_engine(random_package, ["aspirin 100 mg"] * 50, 1)
    assert equal["padding"] == 0.0
    mixed = measure_engine(random_package, ["fever", "no headache and the fever"] * 20, 1)
    assert 0 < mixed["padding"] < 1
    assert mixed["wordpieces"] > 40
    assert mixed["bound"] == pytest.approx(mixed["flops"] / mixed["flops_per_wordpiece"])
    assert 0 < mixed["tokenizing_seconds"] < mixed["seconds"] * 10
