import json

import pytest

from training.loop.early_stopping import EarlyStopping


def heard(patience, *scores):
    stopping = EarlyStopping(patience)
    better = []
    for epoch, score in enumerate(scores):
        better.append(stopping.hear(epoch, score))
        if stopping.is_over:
            break
    return stopping, better


def test_it_stops_after_so_many_epochs_without_a_better_one():
    stopping, better = heard(2, 0.5, 0.7, 0.6, 0.65, 0.9)
    assert better == [True, True, False, False]
    assert (stopping.best_epoch, stopping.best_score, stopping.is_over) == (1, 0.7, True)


def test_of_equals_the_first_is_kept_and_a_better_one_starts_anew():
    stopping, better = heard(2, 0.5, 0.5, 0.6, 0.6)
    assert better == [True, False, True, False]
    assert (stopping.best_epoch, stopping.is_over) == (2, False)


def test_without_patience_nothing_is_best_and_nothing_stops():
    stopping, better = heard(0, 0.5, None, 0.1)
    assert better == [False] * 3
    assert (stopping.best_epoch, stopping.is_over) == (None, False)


def test_patience_needs_scores():
    with pytest.raises(ValueError, match="needs a score"):
        EarlyStopping(1).hear(0, None)


def test_it_goes_on_from_json():
    stopping, _ = heard(2, 0.5, 0.4)
    again = EarlyStopping(**json.loads(json.dumps(stopping.to_dict())))
    assert again == stopping
    again.hear(2, 0.3)
    assert again.is_over
