"""The pipeline fingerprint: its value is kept, and nothing that changes rows is left out of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from udfs.annotation import pipeline_fingerprint as module
from udfs.annotation.pipeline_fingerprint import RULE_VERSIONS, pipeline_fingerprint
from udfs.annotation.steps import AnnotationSettings

MODEL = "f" * 64
SETTINGS = AnnotationSettings(
    "tiny", {"drug": "drug", "adverse": "problem"}, frozenset({"Drug", "ADE"}), 0.25
)
# As release 0.1.0 computed them: another value makes every note of every user fall due.
STORED = [
    (SETTINGS, "519a7d131e9a0eb0cf0f8cb777a195187ad6c4f143169ccda41dc3a31d25b631"),
    (
        AnnotationSettings("tiny"),
        "d505e11a8385c6ec3b3b25eb999815de6afa2503eacc5aa27b35e6209bda1f9a",
    ),
]
OTHER = {
    "model": "other",
    "entity_types": {"drug": "medication"},
    "labels": frozenset({"Drug"}),
    "min_score": 0.5,
}


@pytest.mark.parametrize(("settings", "stored"), STORED)
def test_values_are_those_of_the_tables_that_there_are(
    settings: AnnotationSettings, stored: str
) -> None:
    assert pipeline_fingerprint(MODEL, settings) == stored


@pytest.mark.parametrize("name", [field.name for field in fields(AnnotationSettings)])
def test_every_setting_is_in_it(name: str) -> None:
    assert name in OTHER, f"give the new setting {name} a value here that changes rows"
    changed = replace(SETTINGS, **{name: OTHER[name]})
    assert pipeline_fingerprint(MODEL, changed) != pipeline_fingerprint(MODEL, SETTINGS)


@pytest.mark.parametrize("rules", RULE_VERSIONS)
def test_every_version_of_rules_is_in_it(rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pipeline_fingerprint(MODEL, SETTINGS)
    monkeypatch.setattr(module, "RULE_VERSIONS", {**RULE_VERSIONS, rules: 99})
    assert pipeline_fingerprint(MODEL, SETTINGS) != before


def test_the_model_is_in_it_and_the_order_of_labels_is_not() -> None:
    before = pipeline_fingerprint(MODEL, SETTINGS)
    assert pipeline_fingerprint("e" * 64, SETTINGS) != before
    turned = dict(reversed(list(SETTINGS.entity_types.items())))
    assert pipeline_fingerprint(MODEL, replace(SETTINGS, entity_types=turned)) == before
