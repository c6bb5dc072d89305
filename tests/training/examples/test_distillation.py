"""The loss of a student, against the formula written out position by position."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from training.examples.distillation import student_loss, target_matrix
from training.examples.examples import NO_LABEL, Example, join_neighbours
from training.examples.partial_labels import summed_loss
from training.recipes.recipe import Recipe
from udfs.errors import InputError

RECIPE = Recipe(distillation=0.3, temperature=2.0)
LOGITS = torch.tensor([[[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 3.0], [9.0, 9.0, 9.0]]])
TAGS = torch.tensor([[0, 1, NO_LABEL, NO_LABEL]])
TARGETS = torch.tensor([[[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.0, 0.0, 0.0]]])


def test_each_position_learns_from_its_tag_and_the_teachers():
    expected = 0.0
    for place in range(3):
        p = TARGETS[0, place].numpy().astype(float)
        scaled = np.exp(LOGITS[0, place].numpy().astype(float) / 2.0)
        divergence = float((p * np.log(p / (scaled / scaled.sum()))).sum())
        tag = int(TAGS[0, place])
        plain = np.exp(LOGITS[0, place].numpy().astype(float))
        gold = 0.0 if tag == NO_LABEL else -float(np.log(plain[tag] / plain.sum()))
        weight = 1.0 if tag == NO_LABEL else 0.3
        expected += 0.7 * gold + weight * 4.0 * divergence
    found = student_loss(LOGITS, TAGS, None, TARGETS, RECIPE)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_without_teachers_it_is_the_gold_tags_loss():
    assert torch.equal(
        student_loss(LOGITS, TAGS, None, None, RECIPE), summed_loss(LOGITS, TAGS, None)
    )


def test_a_student_that_says_what_its_teachers_say_has_nothing_to_learn():
    recipe = dataclasses.replace(RECIPE, distillation=1.0)
    taught = LOGITS.clone().requires_grad_()
    loss = student_loss(taught, TAGS, None, (LOGITS / 2.0).softmax(-1), recipe)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-5)
    assert torch.allclose(taught.grad, torch.zeros_like(LOGITS), atol=1e-5)


def example(*tags, targets=None):
    return Example(np.arange(len(tags)), np.array(tags), targets=targets)


def test_targets_stand_behind_cls_and_are_joined_with_their_examples():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    one, other = example(0, 1, targets=sure), example(1, NO_LABEL, targets=sure[::-1])
    [joined] = join_neighbours([[one, other]], 0.999, 10, random.Random(1))
    assert joined.targets.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    matrix = target_matrix([one, joined], 6, 2)
    assert matrix[0].sum(dim=-1).tolist() == [0, 1, 1, 0, 0, 0]
    assert matrix[1].argmax(dim=-1).tolist() == [0, 0, 1, 1, 0, 0]
    assert target_matrix([example(0, 1)], 4, 2) is None


def test_what_is_learnt_from_teachers_alone_counts():
    targets = np.array([[0.5, 0.5], [0.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert example(0, NO_LABEL, NO_LABEL).learnt == 1
    assert example(0, NO_LABEL, NO_LABEL, targets=targets).learnt == 2


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"distillation": 1.1}, "distillation 1.1 must be from 0 to 1"),
        ({"temperature": 0.0}, "temperature 0.0 must be greater than 0"),
        ({"unlabelled_ratio": 0.0}, "unlabelled_ratio 0.0 must be greater than 0"),
        ({"distillation": 0.5, "label_all_pieces": True}, "leave out label_all_pieces"),
        ({"keep_layers": "0,x"}, "'0,x' must be numbers such as 0,2,5"),
        ({"keep_layers": "0,-2"}, "must be numbers such as"),
        ({"keep_layers": "2,0"}, "2,0 must rise"),
        ({"keep_layers": "1,1"}, "1,1 must rise"),
    ],
)
def test_wrong_settings_are_refused(changes, rule):
    with pytest.raises(InputError, match=rule):
        Recipe(**changes)
