import pytest
from hypothesis import given

from tests.support.annotated_documents import (
    TEXTS,
    corpora,
    plain_spans,
    written,
)
from training.corpora.forms import losses
from training.corpora.forms.code_units import CodeUnits

UNHELD = {
    "doccano": {losses.ATTRIBUTES, losses.CONCEPT_IDS, losses.CONCEPT_RELATIONS},
    "label-studio": {losses.CONCEPT_IDS, losses.CONCEPT_RELATIONS},
}


@pytest.mark.parametrize("units", ["", "-utf16"])
@pytest.mark.parametrize("form", UNHELD)
@given(corpus=corpora(discontinuous=False))
def test_any_corpus_comes_back_unless_a_loss_is_counted(form, units, corpus):
    with written(form + units, corpus) as (lost, read_again):
        again = read_again()
    assert plain_spans(again) == plain_spans(corpus)
    assert [d.text for d in again] == [d.text for d in corpus]
    assert sum(len(d.relations) for d in again) == sum(len(d.relations) for d in corpus)
    assert set(lost) <= UNHELD[form]
    assert lost or again == corpus


@pytest.mark.parametrize("units", ["", "-utf16"])
@pytest.mark.parametrize("form", UNHELD)
@given(corpus=corpora(discontinuous=False, extras=False, concept_relations=False))
def test_what_the_form_can_hold_comes_back(form, units, corpus):
    with written(form + units, corpus) as (lost, read_again):
        assert (lost, read_again()) == ({}, corpus)


@given(TEXTS)
def test_code_units_are_those_of_utf_16(text):
    units = CodeUnits(text)
    for point in range(len(text) + 1):
        unit = len(text[:point].encode("utf-16-le")) // 2
        assert units.from_code_point(point) == unit
        assert units.to_code_point(unit) == point
