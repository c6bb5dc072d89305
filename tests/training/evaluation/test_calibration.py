import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training.corpora.form_table import Document
from training.evaluation.calibration import (
    MentionOutcomes,
    brier_score,
    expected_calibration_error,
    fit_calibration,
    mention_outcomes,
    reliability,
)
from udfs.decoding.score_calibration import ScoreCalibration, log_odds
from udfs.errors import InputError
from udfs.spans import Span


def too_sure(number, seed, temperature=2.0, biases=(-1.0, 0.5)):
    """Mentions whose log-odds, divided and moved by these numbers, would be the truth."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(3, 2.5, number)
    labels = rng.integers(0, 2, number)
    chances = 1 / (1 + np.exp(-(odds / temperature + np.array(biases)[labels])))
    names = tuple(("Chemical", "Disease")[label] for label in labels)
    return MentionOutcomes(1 / (1 + np.exp(-odds)), rng.random(number) < chances, names)


def test_the_numbers_that_spoilt_the_scores_are_found_again():
    calibration = fit_calibration(too_sure(40_000, 1))
    assert calibration.temperature == pytest.approx(2.0, rel=0.05)
    assert calibration.biases == pytest.approx({"Chemical": -1.0, "Disease": 0.5}, abs=0.1)


def test_scores_become_probabilities_on_other_mentions():
    calibration = fit_calibration(too_sure(5_000, 2))
    others = too_sure(20_000, 3)
    assert expected_calibration_error(others) > 0.1
    assert expected_calibration_error(others.calibrated(calibration)) < 0.02
    assert brier_score(others.calibrated(calibration)) < brier_score(others)


def test_the_fit_is_that_of_a_logistic_regression():
    """scikit-learn's, on the same targets: each mention twice, weighted by its target."""
    outcomes = too_sure(3_000, 4)
    numbers = np.array([label == "Disease" for label in outcomes.labels], dtype=int)
    hits = np.bincount(numbers, outcomes.right)[numbers]
    misses = np.bincount(numbers, ~outcomes.right)[numbers]
    targets = np.where(outcomes.right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    columns = np.column_stack([log_odds(outcomes.scores), np.eye(2)[numbers]])
    oracle = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000).fit(
        np.concatenate([columns, columns]),
        np.repeat([1, 0], len(targets)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    slope, first, second = oracle.coef_[0]
    calibration = fit_calibration(outcomes)
    assert 1 / calibration.temperature == pytest.approx(slope, rel=1e-4)
    assert calibration.biases == pytest.approx({"Chemical": first, "Disease": second}, rel=1e-3)


def test_a_label_that_is_always_right_and_a_rare_one_have_finite_biases():
    outcomes = too_sure(500, 5)
    labels = ("Sure",) * 100 + ("Rare",) * 3 + ("Rarer",) * 2 + outcomes.labels[105:]
    right = np.concatenate([np.ones(100, dtype=bool), outcomes.right[100:]])
    calibration = fit_calibration(MentionOutcomes(outcomes.scores, right, labels))
    assert np.isfinite([calibration.temperature, *calibration.biases.values()]).all()
    assert calibration.biases["Rare"] == calibration.biases["Rarer"]
    assert calibration.biases["Sure"] > calibration.biases["Chemical"]


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(InputError, match="49 predicted mentions are too few"):
        fit_calibration(too_sure(49, 6))
    outcomes = too_sure(500, 7)
    upside_down = MentionOutcomes(1 - outcomes.scores, outcomes.right, outcomes.labels)
    with pytest.raises(InputError, match="higher scores are not more often right"):
        fit_calibration(upside_down)


def test_bins_hold_equal_numbers_and_their_error_is_weighted():
    scores = np.array([0.9, 0.9, 0.5, 0.5])
    outcomes = MentionOutcomes(scores, np.array([True, True, True, False]), ("A",) * 4)
    assert [(b.mentions, b.mean_score, b.share_right) for b in reliability(outcomes, 2)] == [
        (2, 0.5, 0.5),
        (2, 0.9, 1.0),
    ]
    assert expected_calibration_error(outcomes, 2) == pytest.approx(0.05)
    assert brier_score(outcomes) == pytest.approx((0.01 + 0.01 + 0.25 + 0.25) / 4)
    nothing = mention_outcomes([Document("1", "a", ())], [[]])
    assert (expected_calibration_error(nothing), brier_score(nothing)) == (0.0, 0.0)


def test_right_is_begin_end_and_label():
    gold = [Document("1", "abcdef", (Span(0, 3, "A"),))]
    found = [[Span(0, 3, "A", 0.9), Span(0, 3, "B", 0.8), Span(0, 2, "A", 0.7)]]
    outcomes = mention_outcomes(gold, found)
    assert outcomes.right.tolist() == [True, False, False]
    assert outcomes.scores.tolist() == [0.9, 0.8, 0.7]
    assert outcomes.calibrated(ScoreCalibration()).scores is outcomes.scores
