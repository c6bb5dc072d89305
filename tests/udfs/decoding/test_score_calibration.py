import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.decoding.label_scheme import LabelScheme
from udfs.decoding.score_calibration import UNCALIBRATED, ScoreCalibration
from udfs.decoding.span_decoding import find_mentions
from udfs.errors import ModelPackageError
from udfs.package.model_package import load_manifest, write_manifest

CALIBRATION = ScoreCalibration(1.5, {"Disease": -2.0})


@given(st.lists(st.floats(0, 1), max_size=20), st.floats(0.1, 10), st.floats(-5, 5))
def test_probabilities_keep_the_order_of_scores(scores, temperature, bias):
    given_scores = np.sort(np.array(scores))
    found = ScoreCalibration(temperature, {"A": bias}).apply(given_scores, np.array(bias))
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()


def test_by_hand():
    found = CALIBRATION.apply(np.array([0.5, 0.9]), np.array([0.0, -2.0]))
    odds = np.log(9) / 1.5 - 2
    assert found == pytest.approx([0.5, np.exp(odds) / (1 + np.exp(odds))])
    assert UNCALIBRATED.apply(np.array([0.25]), np.array([0.0])).tolist() == [0.25]


def test_spans_and_labels_do_not_change():
    scheme = LabelScheme(("O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease"))
    probabilities = np.random.default_rng(0).dirichlet(np.full(5, 0.3), 60)
    starts = np.arange(60) % 20 == 0
    plain = find_mentions(scheme, probabilities, starts)
    found = find_mentions(scheme, probabilities, starts, CALIBRATION)
    for name in ("first", "last", "label"):
        assert np.array_equal(getattr(plain, name), getattr(found, name))
    biases = np.where(found.label == 1, -2.0, 0.0)
    assert found.score == pytest.approx(CALIBRATION.apply(plain.score.astype(float), biases), 1e-4)


def test_a_calibration_has_a_fingerprint_and_none_leaves_it(package):
    plain = load_manifest(package)
    assert plain.calibration == UNCALIBRATED
    assert replace(plain, calibration=ScoreCalibration(1.0, {"Disease": 0.0})).fingerprint == (
        plain.fingerprint
    )
    write_manifest(package, replace(plain, calibration=CALIBRATION))
    found = load_manifest(package)
    assert found.calibration == CALIBRATION
    assert found.fingerprint != plain.fingerprint


def test_a_package_without_the_key_is_one_without_a_calibration(package):
    before = load_manifest(package).fingerprint
    path = package / "ner_model.json"
    raw = json.loads(path.read_text())
    del raw["calibration"]
    path.write_text(json.dumps(raw))
    assert load_manifest(package).fingerprint == before


@pytest.mark.parametrize(
    ("calibration", "fault"),
    [
        (2.0, "not an object of temperature and biases"),
        ({"slope": 1}, "not an object of temperature and biases"),
        ({"temperature": 0}, "the temperature 0 is not above 0"),
        ({"temperature": float("nan")}, "not a finite number"),
        ({"biases": {"Disease": "low"}}, "not a finite number"),
        ({"biases": {"Gene": 1.0}}, r"not of the labels \['Chemical', 'Disease'\]"),
    ],
)
def test_what_is_no_calibration_is_refused(package, edit_manifest, calibration, fault):
    edit_manifest(package, calibration=calibration)
    with pytest.raises(ModelPackageError, match=fault):
        load_manifest(package)
