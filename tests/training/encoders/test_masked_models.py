"""Encoders with a head for hidden words, of each family and its own tokenizer."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM

from training.encoders.base_models import find_base_model
from training.encoders.encoder_adaptation import AdaptationRequest, Watcher, adapt_encoder
from training.encoders.masked_models import find_mask_id, new_masked_model, open_masked_model
from training.encoders.masked_training import MaskedTraining
from training.encoders.word_masking import encode_texts
from training.recipes.adaptation_settings import AdaptationSettings, NewEncoder
from udfs.errors import InputError
from udfs.network.tokenization import WindowTokenizer

FAMILIES = ("albert", "bert", "distilbert", "roberta")
SETTINGS = AdaptationSettings(
    epochs=10, learning_rate=0.01, batch_wordpieces=100, max_wordpieces=32
)


@pytest.fixture(scope="module")
def tiny(load_tiny):
    return load_tiny("tiny_families")


@pytest.fixture
def folder(tiny, tmp_path, request):
    return tiny.write_tiny_family(tmp_path / "base", request.param, positions=48)


def every_family(test):
    return pytest.mark.parametrize("folder", FAMILIES, indirect=True)(test)


@every_family
def test_it_reads_with_the_tokenizer_of_its_family(folder, tiny, tmp_path):
    losses = []
    watcher = Watcher(lambda *_: None, lambda _, loss: losses.append(loss))
    request = AdaptationRequest(tiny.TEXTS, tmp_path / "new", folder)
    # ALBERT's tokenizer is trained anew, and not twice the same: after 10 epochs the loss had
    # fallen by 0.46 to 0.88, after 30 by 1.18 to 2.21.
    settings = dataclasses.replace(SETTINGS, epochs=30)
    assert not adapt_encoder(request, settings, watcher).head_is_new
    assert losses[-1] < losses[0] - 0.5  # nats
    assert find_base_model(tmp_path / "new") == tmp_path / "new"


@every_family
def test_a_head_that_is_missing_is_new(folder):
    prefix = open_masked_model(folder, 32)[0].base_model_prefix
    weights = load_file(folder / "model.safetensors")
    bare = {name: tensor for name, tensor in weights.items() if name.startswith(prefix)}
    assert len(bare) < len(weights)
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    assert open_masked_model(folder, 32)[1]


@every_family
def test_the_loss_is_that_of_the_whole_sequence(folder, tiny):
    """The head sees hidden positions alone; transformers' own loss sees all."""
    tokenizer = WindowTokenizer.from_file(folder / "tokenizer.json")
    model, _ = open_masked_model(folder, 32)
    training = MaskedTraining(model, tokenizer, find_mask_id(folder), SETTINGS)
    piece = encode_texts(tiny.TEXTS[:1], tokenizer, 32)[0]
    [example] = training.hidden([piece], 0)
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    ids = np.concatenate([[tokenizer.cls_id], example.ids, [tokenizer.sep_id]])
    tags = np.concatenate([[-100], example.tags, [-100]])
    with torch.no_grad():
        whole = theirs(input_ids=torch.tensor(ids)[None], labels=torch.tensor(tags)[None]).loss
    assert training.held_out_loss([piece]) == pytest.approx(float(whole), rel=1e-5)


@every_family
def test_positions_suffice_and_no_more(folder):
    assert open_masked_model(folder, 48)
    with pytest.raises(InputError, match="must not exceed the base model's 48 positions"):
        open_masked_model(folder, 49)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("folder", FAMILIES, indirect=True)
def test_a_new_encoder_takes_any_tokenizer(folder, family):
    tokenizer = WindowTokenizer.from_file(folder / "tokenizer.json")
    model = new_masked_model(NewEncoder(family, 2, 16, 2, 8), tokenizer, 32).eval()
    ids = torch.full((1, 32), tokenizer.vocabulary_size - 1)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert logits.shape == (1, 32, tokenizer.vocabulary_size)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("folder", ["bert"], indirect=True)
def test_a_tokenizer_without_a_mask_is_refused(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("[MASK]", "[HIDE]"))
    with pytest.raises(InputError, match=r"has no \[MASK\] or <mask>"):
        find_mask_id(folder)
