"""A package in plain transformers, with nothing of ours: the same labels and the same entities."""

import pytest
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from tests.support.places import SHIPPED
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.package.model_package import load_manifest

# Each is one window, as the pipeline reads it.
SENTENCES = [
    "She was started on metformin for type 2 diabetes mellitus and developed severe nausea.",
    "Warfarin 5 mg daily was held because of gastrointestinal bleeding.",
    "No fever, no chest pain.",
    "Carbamazepine-induced Stevens-Johnson syndrome resolved after prednisone.",
]


def found_by_transformers(folder, text):
    """Mentions from the tags of first word-pieces alone, as the card says that they stand."""
    ner = pipeline(
        "token-classification",
        model=AutoModelForTokenClassification.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        aggregation_strategy="first",
    )
    return {(found["start"], found["end"], found["entity_group"]) for found in ner(text)}


def found_by_us(folder, text):
    classifier = TokenClassifier.load(folder, device="cpu", precision="float32")
    return {(span.begin, span.end, span.label) for span in find_entities(text, classifier)}


def test_a_package_finds_the_same_entities(tiny_package):
    text = "aspirin caused severe headache in patients, no fever."
    assert found_by_transformers(tiny_package, text) == found_by_us(tiny_package, text)
    assert len(found_by_us(tiny_package, text)) >= 2


@pytest.mark.parametrize("text", SENTENCES)
def test_the_shipped_model_finds_the_same_entities(text):
    assert found_by_transformers(SHIPPED, text) == found_by_us(SHIPPED, text)
    assert found_by_us(SHIPPED, text)


def test_the_shipped_model_has_its_labels_case_and_length():
    config = AutoModelForTokenClassification.from_pretrained(SHIPPED).config
    manifest = load_manifest(SHIPPED)
    assert tuple(config.id2label[number] for number in range(5)) == manifest.labels
    assert config.label2id == {tag: number for number, tag in config.id2label.items()}
    tokenizer = AutoTokenizer.from_pretrained(SHIPPED)
    assert tokenizer.model_max_length == manifest.max_wordpieces == 256
    assert tokenizer("ASPIRIN").input_ids == tokenizer("aspirin").input_ids
    assert len(tokenizer("fever " * 400).input_ids) == 402  # neither cut nor padded
