import pytest

from conf.entity_types import _invert, load_entity_types
from conf.settings import SettingsError


@pytest.mark.parametrize(
    ("label", "entity_type"),
    [
        ("Chemical", "drug"),
        ("CHEMICAL", "drug"),
        ("Drug", "drug"),
        ("DRUG", "drug"),
        ("Medication", "drug"),
        ("Disease", "disease"),
        ("DISEASE", "disease"),
        ("problem", "disease"),
        ("Diagnosis", "disease"),
        ("Strength", "strength"),
        ("Dosage", "dosage"),
        ("Frequency", "frequency"),
        ("Route", "route"),
        ("Form", "form"),
        ("Duration", "duration"),
        ("Reason", "reason"),
        ("ADE", "ade"),
        ("test", "test"),
        ("treatment", "treatment"),
        ("Device", "device"),
    ],
)
def test_labels_of_known_corpora(label, entity_type):
    assert load_entity_types().get(label.lower(), label.lower()) == entity_type


def test_labels_and_types_are_lower_case_and_types_are_fixed_points():
    types = load_entity_types()
    assert all(text == text.lower() for pair in types.items() for text in pair)
    assert all(types[entity_type] == entity_type for entity_type in types.values())


def test_a_label_under_two_types_is_refused_whatever_its_case():
    with pytest.raises(SettingsError, match="the label CHEM stands under drug and gene; keep one"):
        _invert({"drug": ["Chem"], "gene": ["CHEM"]}, "x")


@pytest.mark.parametrize("labels", [None, "Chemical", [1]])
def test_a_type_without_a_list_of_labels_is_refused(labels):
    with pytest.raises(SettingsError, match="drug must be a list of labels"):
        _invert({"drug": labels}, "x")
