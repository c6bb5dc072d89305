import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForTokenClassification

from udfs.errors import ModelPackageError
from udfs.network.encoder import Encoder
from udfs.package.encoder_config import EncoderConfig

CPU = torch.device("cpu")
N_LABELS = 5


def encoder(folder: Path, dtype: torch.dtype = torch.float32, n_labels: int = N_LABELS) -> Encoder:
    config = EncoderConfig.from_file(folder / "config.json")
    return Encoder(folder / "model.safetensors", config, n_labels, CPU, dtype)


@pytest.fixture(scope="module")
def reference(random_package: Path) -> BertForTokenClassification:
    model = BertForTokenClassification.from_pretrained(random_package, dtype=torch.float32)
    return model.eval()


@pytest.mark.parametrize(
    "lengths",
    [[12, 12, 12], [1], [40], [12, 7, 7, 3, 1, 1], [40, 39, 2], [2, 9, 2]],
    ids=lambda x: "-".join(map(str, x)),
)
def test_logits_are_those_of_transformers(random_package, reference, lengths):
    config = EncoderConfig.from_file(random_package / "config.json")
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(config.vocab_size, (len(lengths), max(lengths)), generator=generator)
    read = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    with torch.inference_mode():
        expected = reference(input_ids=ids, attention_mask=read.long()).logits
    found = encoder(random_package).logits(ids[read].numpy(), np.array(lengths))
    assert found.shape == (sum(lengths), N_LABELS)
    torch.testing.assert_close(found, expected[read], rtol=1e-4, atol=1e-4)
    # Logits that hardly vary would agree whatever the network did.
    assert found.std() > 0.5
    if max(lengths) > 1:
        assert found[: lengths[0]].std(dim=0).min() > 0.1
        assert found[: lengths[0]].argmax(dim=-1).unique().numel() > 1


def test_pieces_do_not_see_each_other(random_package):
    ids = np.random.default_rng(2).integers(50, size=20)
    run = encoder(random_package).logits
    alone = run(ids[:9], np.array([9]))
    for lengths in ([9, 11], [9, 9, 2]):
        together = run(ids, np.array(lengths))
        torch.testing.assert_close(together[:9], alone, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(run(ids, np.array([20]))[:9], alone, atol=0.1)


@pytest.mark.parametrize("wanted", [[0], [19], [1, 2, 9, 10, 18], [*range(20)], []])
def test_some_positions_have_the_logits_that_they_have_among_all(random_package, wanted):
    ids = np.random.default_rng(3).integers(50, size=20)
    run, lengths = encoder(random_package).logits, np.array([10, 6, 4])
    places = np.array(wanted, dtype=np.int64)
    found = run(ids, lengths, places)
    assert found.shape == (len(wanted), N_LABELS)
    torch.testing.assert_close(found, run(ids, lengths)[places], rtol=1e-4, atol=1e-4)


def test_bfloat16_gives_float32_logits_near_those_of_float32(random_package):
    ids, lengths = np.arange(30), np.array([15, 15])
    exact = encoder(random_package).logits(ids, lengths)
    rough = encoder(random_package, torch.bfloat16).logits(ids, lengths)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.std()
    assert not torch.equal(rough, exact)


def refused(folder: Path, *words: str, n_labels: int = N_LABELS) -> None:
    with pytest.raises(ModelPackageError) as caught:
        encoder(folder, n_labels=n_labels)
    assert caught.value.__cause__ is None
    for word in words:
        assert word in str(caught.value)


def rewrite(folder: Path, change: object) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


NAMES = [
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.1.attention.self.key.bias",
    "bert.encoder.layer.0.output.LayerNorm.weight",
    "classifier.bias",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tensor(package, name):
    rewrite(package, lambda tensors: tensors.pop(name))
    refused(package, "model.safetensors: 1 tensors do not fit", name, "config of the same model")


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_another_shape(package, name):
    rewrite(package, lambda tensors: tensors.update({name: tensors[name][:-1].clone()}))
    refused(package, "model.safetensors: 1 tensors do not fit", name)


def test_a_tensor_too_many(package):
    rewrite(package, lambda tensors: tensors.update({"crf.transitions": torch.zeros(5, 5)}))
    refused(package, "crf.transitions")


def test_tensors_that_play_no_part_are_left_out(package, random_package):
    extra = {
        "bert.pooler.dense.weight": torch.zeros(32, 32),
        "bert.pooler.dense.bias": torch.zeros(32),
        "bert.embeddings.position_ids": torch.arange(40)[None],
    }
    rewrite(package, lambda tensors: tensors.update(extra))
    ids, lengths = np.arange(10), np.array([10])
    assert torch.equal(
        encoder(package).logits(ids, lengths), encoder(random_package).logits(ids, lengths)
    )


def test_another_number_of_labels(package):
    refused(package, "2 tensors do not fit", "classifier.bias", n_labels=4)


@pytest.mark.parametrize("part", [0, 1, 100, -1])
def test_weights_that_are_cut_off(package, part):
    path = package / "model.safetensors"
    path.write_bytes(path.read_bytes()[:part])
    refused(
        package, "model.safetensors is not a readable safetensors file", "copy the package again"
    )


def test_weights_that_are_missing_or_pickled(package):
    path = package / "model.safetensors"
    torch.save({"classifier.bias": torch.zeros(5)}, path)
    refused(package, "not a readable safetensors file")
    path.unlink()
    refused(package, "not a readable safetensors file")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model_type": "electra"},
            ["model_type is 'electra'", "runs 'albert', 'bert', 'distilbert', 'roberta' only"],
        ),
        ({"model_type": ["bert"]}, ["model_type is ['bert']"]),
        ({"model_type": ...}, ["model_type is None"]),
        ({"model_type": None}, ["model_type is None"]),
        ({"hidden_act": "relu"}, ["hidden_act is 'relu'", "runs 'gelu', 'gelu_new' only"]),
        ({"hidden_act": None}, ["hidden_act is None"]),
        ({"is_decoder": True}, ["is_decoder is True", "runs False only"]),
        (
            {"position_embedding_type": "relative_key"},
            ["position_embedding_type is 'relative_key'"],
        ),
        ({"hidden_size": ...}, ["'hidden_size' is missing or not a number"]),
        ({"num_hidden_layers": "two"}, ["missing or not a number"]),
        ({"layer_norm_eps": None}, ["missing or not a number"]),
        ({"num_attention_heads": 5}, ["hidden_size 32 cannot be split into 5 heads"]),
        ({"num_attention_heads": 0}, ["cannot be split into 0 heads"]),
        ({"num_hidden_layers": 3}, ["16 tensors do not fit"]),
        ({"num_hidden_layers": 1}, ["16 tensors do not fit"]),
        ({"vocab_size": 7}, ["1 tensors do not fit", "word_embeddings"]),
    ],
)
def test_a_config_that_is_not_the_weights(package, edit_config, changes, words):
    edit_config(package, **changes)
    refused(package, *words, "config.json")


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"5", b"\xff\xfe", b"[" * 100_000])
def test_a_config_that_is_no_json_object(package, content):
    (package / "config.json").write_bytes(content)
    refused(package, "config.json is not readable JSON", "copy the package again")
    (package / "config.json").unlink()
    refused(package, "config.json is not readable JSON")


def test_the_config_of_a_hub_is_read(random_package):
    raw = json.loads((random_package / "config.json").read_text())
    assert "architectures" in raw or "id2label" in raw  # more keys than ours, as hubs have them
    config = EncoderConfig.from_file(random_package / "config.json")
    assert (config.hidden_size, config.num_attention_heads, config.num_hidden_layers) == (32, 4, 2)
