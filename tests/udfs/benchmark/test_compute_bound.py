"""The bound: operations counted by hand, and figures of the engine that hold together."""

import pytest
import torch

from udfs.benchmark.compute_bound import flops_per_wordpiece, measure_engine, product_rate
from udfs.package.encoder_config import EncoderConfig


def config(layers: int) -> EncoderConfig:
    return EncoderConfig(
        model_type="bert",
        vocab_size=100,
        hidden_size=8,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
        activation="gelu",
        embedding_size=8,
        num_hidden_groups=layers,
        inner_group_num=1,
        first_position=0,
    )


def test_products_are_counted_once_each():
    # query, key, value, output: 4·8·8; two of 8·16; attention of 10 places: 2·10·8; 3 labels.
    assert flops_per_wordpiece(config(1), 10, 3) == 2 * (256 + 256 + 160 + 24)
    assert flops_per_wordpiece(config(5), 10, 3) == 2 * (5 * (256 + 256 + 160) + 24)


@pytest.mark.heavy
def test_a_product_takes_time():
    assert 0 < product_rate(config(1), torch.float32, 1) < 1e15


@pytest.mark.heavy
def test_the_engine_is_measured_beside_its_bound(random_package):
    found = measure_engine(random_package, ["fever", "no headache and the fever"] * 20, 1)
    assert found["wordpieces"] > 40
    assert found["bound"] == pytest.approx(found["flops"] / found["flops_per_wordpiece"])
    assert found["seconds"] > 0 and found["tokenizing_seconds"] > 0
