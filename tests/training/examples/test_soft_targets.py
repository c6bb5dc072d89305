import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForTokenClassification

from training.examples.examples import NO_LABEL, encode_documents
from training.examples.soft_targets import (
    ask_teachers,
    unlabelled_examples,
    windows_of_epoch,
    without_tags,
)
from training.examples.teachers import Teaching, check_teachers
from training.package.ancestry import ancestors
from training.recipes.recipe import Recipe
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError, ModelPackageError
from udfs.network.tokenization import WindowTokenizer
from udfs.package.model_package import load_manifest

TAGS = bio_labels(["Chemical", "Disease"])
TEXTS = ["Aspirin caused fever. No headache in the study.", "Severe fever and no aspirin."]
RECIPE = Recipe(max_wordpieces=32, overlap=8)


@pytest.fixture
def tokenizer(tiny_bert):
    return WindowTokenizer.from_file(tiny_bert / "tokenizer.json")


@pytest.fixture
def examples(tiny_documents, tokenizer):
    groups = encode_documents(tiny_documents, tokenizer, TAGS, max_wordpieces=32, overlap=8)
    return [example for group in groups for example in group]


@pytest.fixture
def other_package(tiny_package, tmp_path):
    """A second teacher, whose head says something else."""
    from safetensors.torch import load_file, save_file

    from udfs.package.model_package import WEIGHTS, sha256_of

    folder = tmp_path / "models" / "other"
    shutil.copytree(tiny_package, folder)
    weights = load_file(folder / WEIGHTS)
    weights["classifier.bias"] = weights["classifier.bias"] + torch.tensor([2.0, 0, 0, 0, 0]).half()
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    manifest = json.loads((folder / "ner_model.json").read_text())
    manifest["files"][WEIGHTS] = sha256_of(folder / WEIGHTS)
    manifest["training_data_digest"] = "d" * 64
    (folder / "ner_model.json").write_text(json.dumps(manifest))
    return folder


def test_targets_are_the_mean_of_what_transformers_computes(
    tiny_package, other_package, examples, tokenizer
):
    taught = ask_teachers([tiny_package, other_package], examples, tokenizer, 5, 2.0)
    models = [
        AutoModelForTokenClassification.from_pretrained(folder).eval()
        for folder in (tiny_package, other_package)
    ]
    for before, after in zip(examples, taught, strict=True):
        ids = torch.tensor([[tokenizer.cls_id, *before.ids, tokenizer.sep_id]])
        with torch.inference_mode():
            said = [(model(ids).logits[0, 1:-1] / 2.0).softmax(-1) for model in models]
        decided = before.tags != NO_LABEL
        mean = torch.stack(said).mean(dim=0).numpy()
        assert np.allclose(after.targets[decided], mean[decided], atol=1e-5)
        assert not after.targets[~decided].any()
        assert after.targets.dtype == np.float32
        assert (after.tags == before.tags).all()
    assert any((example.tags == NO_LABEL).any() for example in examples)


def test_unlabelled_windows_are_drawn_by_seed_and_each_epoch_has_its_own(tokenizer):
    one = unlabelled_examples([*TEXTS, TEXTS[0]], tokenizer, TAGS, RECIPE, 3)
    assert [e.ids.tolist() for e in one] == [
        e.ids.tolist() for e in unlabelled_examples(TEXTS, tokenizer, TAGS, RECIPE, 9)
    ]  # three different windows, however often they stand there
    two = unlabelled_examples(TEXTS, tokenizer, TAGS, RECIPE, 2)
    assert [e.ids.tolist() for e in two] == [e.ids.tolist() for e in one[:2]]
    parts = [windows_of_epoch(one, epoch, 2) for epoch in (0, 1)]
    assert [len(part) for part in parts] == [1, 2]
    assert parts[0][0] is one[0]
    assert unlabelled_examples([], tokenizer, TAGS, RECIPE, 3) == []


def test_unlabelled_examples_are_learnt_from_teachers_alone(tiny_package, tokenizer):
    drawn = unlabelled_examples(TEXTS, tokenizer, TAGS, RECIPE, 3)
    for asked in ask_teachers([tiny_package], drawn, tokenizer, 5, 1.0):
        alone = without_tags(asked)
        assert (alone.tags == NO_LABEL).all()
        assert alone.learnt == int((asked.tags != NO_LABEL).sum()) > 0


def test_a_teacher_must_fit_its_student(tiny_package, tiny_bert, tmp_path):
    teaching = Teaching((tiny_package,))
    check_teachers(teaching, tiny_bert, TAGS, 32)  # its limits on inputs are no rule of words
    with pytest.raises(InputError, match="must have the same; take one of the same labels"):
        check_teachers(teaching, tiny_bert, TAGS[:3], 32)
    with pytest.raises(InputError, match="65 must not exceed the 64 positions of teacher"):
        check_teachers(teaching, tiny_bert, TAGS, 65)
    cased = tmp_path / "cased"
    shutil.copytree(tiny_bert, cased)
    rules = json.loads((cased / "tokenizer.json").read_text())
    rules["normalizer"]["lowercase"] = False
    (cased / "tokenizer.json").write_text(json.dumps(rules))
    with pytest.raises(InputError, match="must have the student's tokenizer"):
        check_teachers(teaching, cased, TAGS, 32)
    with pytest.raises(ModelPackageError, match="no model package"):
        check_teachers(Teaching((tmp_path / "absent",)), tiny_bert, TAGS, 32)


def test_ancestors_are_teachers_and_a_package_that_training_begins_with(
    tiny_package, other_package, tiny_bert
):
    assert ancestors([], tiny_bert) == []
    found = ancestors([other_package], tiny_package)
    assert [(entry["role"], entry["name"]) for entry in found] == [
        ("teacher", "tiny"),
        ("base model", "tiny"),
    ]
    assert found[0]["training_data_digest"] == "d" * 64
    assert found[0]["fingerprint"] == load_manifest(other_package).fingerprint


def test_what_an_ancestor_was_trained_on_counts_as_seen(other_package):
    path = other_package / "ner_model.json"
    manifest = json.loads(path.read_text())
    before = load_manifest(other_package)
    own = {"role": "teacher", "name": "t", "fingerprint": "f", "training_data_digest": "e" * 64}
    path.write_text(json.dumps({**manifest, "learnt_from": [own]}))
    after = load_manifest(other_package)
    assert after.seen_digests == {"d" * 64, "e" * 64}
    assert after.fingerprint == before.fingerprint
    path.write_text(json.dumps({**manifest, "learnt_from": [{"role": "teacher"}]}))
    with pytest.raises(ModelPackageError, match="'learnt_from' is no list"):
        load_manifest(other_package)
