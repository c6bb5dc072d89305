import dataclasses
import itertools

import pytest
import torch

from training.corpora.documents import make_document
from training.corpora.form_table import Document
from training.evaluation.strict_scores import predict_documents
from training.examples.teachers import Teaching
from training.fine_tuning.epochs import fine_tune
from training.package.package_writing import write_package
from training.recipes.recipe import Recipe
from training.recipes.schedule import schedule_factor
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError
from udfs.package.model_package import ModelManifest

LABELS = ["Chemical", "Disease"]
SHORT = Recipe(epochs=2, learning_rate=0.01, max_wordpieces=32, overlap=8)


def weights(model):
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"join_probability": 0.5, "unknown_probability": 0.2, "label_smoothing": 0.1},
        {"average_last": 0.9, "epochs": 12, "batch_wordpieces": 16, "layer_decay": 0.8},
    ],
)
def test_one_seed_gives_one_model(tiny_bert, tiny_documents, changes):
    recipe = dataclasses.replace(SHORT, **changes)
    one, again, other = (
        weights(
            fine_tune(
                tiny_bert, tiny_documents, LABELS, dataclasses.replace(recipe, seed=seed)
            ).model
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_averaging_changes_the_weights(tiny_bert, tiny_documents):
    plain = dataclasses.replace(SHORT, epochs=12, batch_wordpieces=16)
    averaged = dataclasses.replace(plain, average_last=0.9)
    one, other = (fine_tune(tiny_bert, tiny_documents, LABELS, r).model for r in (plain, averaged))
    assert not torch.allclose(weights(one), weights(other))


def test_bfloat16_is_used_and_the_weights_stay_float32(tiny_bert, tiny_documents):
    losses = {}
    trained = {}
    for precision in ("float32", "bfloat16"):
        reports = []
        recipe = dataclasses.replace(SHORT, precision=precision, epochs=12)
        model = fine_tune(tiny_bert, tiny_documents, LABELS, recipe, on_step=reports.append).model
        losses[precision] = [report.loss for report in reports]
        trained[precision] = weights(model)
    assert trained["bfloat16"].dtype == torch.float32
    assert losses["bfloat16"][0] != losses["float32"][0]
    assert losses["bfloat16"][0] == pytest.approx(losses["float32"][0], rel=0.02)
    assert losses["bfloat16"][-1] < 0.7 * losses["bfloat16"][0]


def test_a_student_learns_what_its_teacher_says_and_not_the_gold_tags(
    tiny_bert, tiny_package, tiny_documents, tmp_path
):
    """The gold tags are all O, and one document's words stand in unlabelled texts alone."""
    one, other = (make_document(d.doc_id, d.text, ()) for d in tiny_documents)
    recipe = dataclasses.replace(
        SHORT, epochs=60, batch_wordpieces=96, distillation=1.0, unlabelled_ratio=9.0
    )
    ends = itertools.product(("and", "in", "the", "of", "a", "study"), repeat=3)
    windows = itertools.product(ends, other.text.rstrip(".").split(". "))
    texts = tuple(f"{words} {' '.join(end)}." for end, words in windows)
    teaching = Teaching((tiny_package,), texts)
    model = fine_tune(tiny_bert, [one], LABELS, recipe, teaching=teaching).model
    manifest = ModelManifest("student", bio_labels(LABELS), {}, max_wordpieces=32, overlap=8)
    write_package(tmp_path / "student", model, tiny_bert, manifest, {})
    found, expected = (
        predict_documents(tiny_documents, TokenClassifier.load(folder, "cpu", "float32"))
        for folder in (tmp_path / "student", tiny_package)
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert [(s.begin, s.end, s.label) for s in ours] == [
            (s.begin, s.end, s.label) for s in theirs
        ]
        assert len(theirs) > 1


def test_callbacks_hear_of_every_step_and_epoch(tiny_bert, tiny_documents):
    steps, epochs = [], []
    fine_tune(
        tiny_bert,
        tiny_documents,
        LABELS,
        dataclasses.replace(SHORT, batch_wordpieces=16),
        on_step=steps.append,
        on_epoch=lambda epoch, model: epochs.append((epoch, model.training)),
    )
    assert epochs == [(0, False), (1, False)]
    assert [report.step for report in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].fraction == pytest.approx(1.0)
    assert steps[-1].loss < steps[0].loss
    assert max(report.learning_rate for report in steps) <= SHORT.learning_rate


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_schedule_rises_then_falls_to_nothing(decay):
    recipe = Recipe(decay=decay, warmup=0.2)
    points = [schedule_factor(i / 100, recipe) for i in range(101)]
    assert points[:21] == sorted(points[:21])
    assert points[20:] == sorted(points[20:], reverse=True)
    assert (points[20], points[100]) == (pytest.approx(1.0), pytest.approx(0.0))
    assert schedule_factor(0.5, Recipe(warmup=0.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"dropout": 1.0}, "dropout 1.0 must be at least 0 and less than 1"),
        ({"epochs": 0}, "epochs 0 must be greater than 0"),
        ({"learning_rate": -1.0}, "learning_rate -1.0 must be greater than 0"),
        ({"patience": -1}, "patience -1 must be"),
        ({"patience": 1, "average_last": 0.5}, "leave out one of the two"),
        ({"precision": "float16"}, "must be float32 or bfloat16"),
        ({"decay": "step"}, "must be linear or cosine"),
        ({"overlap": 254}, "overlap 254 must be"),
    ],
)
def test_wrong_settings_are_refused(changes, rule):
    with pytest.raises(InputError, match=rule):
        Recipe(**changes)


def test_a_diverging_run_stops(tiny_bert, tiny_documents):
    with pytest.raises(InputError, match="take a learning rate below"):
        fine_tune(
            tiny_bert,
            tiny_documents,
            LABELS,
            dataclasses.replace(SHORT, epochs=9, learning_rate=1e30),
        )


def test_documents_without_text_are_refused(tiny_bert):
    with pytest.raises(InputError, match="nothing to train on"):
        fine_tune(tiny_bert, [Document("1", " ", ())], LABELS, SHORT)
