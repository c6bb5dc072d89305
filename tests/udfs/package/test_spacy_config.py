"""What a package of spaCy's kind may name; spaCy itself is not asked."""

import copy
import json
import subprocess
import sys

import pytest

from udfs.errors import ModelPackageError
from udfs.package.encoder_config import EncoderConfig
from udfs.package.spacy_config import SpacyConfig

NLP = {
    "lang": "en",
    "pipeline": ["ner"],
    "tokenizer": {"@tokenizers": "spacy.Tokenizer.v1"},
    "vectors": {"@vectors": "spacy.Vectors.v1"},
}
COMPONENTS = {
    "ner": {
        "factory": "ner",
        "scorer": {"@scorers": "spacy.ner_scorer.v1"},
        "model": {
            "@architectures": "spacy.TransitionBasedParser.v2",
            "tok2vec": {"@architectures": "spacy.HashEmbedCNN.v1"},
        },
    }
}


def changed(place, value):
    """The two sections with another value at a dotted place."""
    whole = copy.deepcopy({"nlp": NLP, "components": COMPONENTS})
    section = whole
    *above, last = place.split(".")
    for name in above:
        section = section[name]
    section[last] = value
    return whole["nlp"], whole["components"]


def test_a_config_is_read_as_it_was_written(tmp_path):
    config = SpacyConfig(NLP, COMPONENTS, {"DRUG": "Drug"})
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert SpacyConfig.from_file(tmp_path / "config.json") == config
    # Whoever takes it for an encoder is told what it is.
    with pytest.raises(ModelPackageError, match="model_type is 'spacy'"):
        EncoderConfig.from_file(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        ("nlp.before_creation", {"@callbacks": "evil.v1"}, "nlp.before_creation names a function"),
        ("nlp.tokenizer", {"@tokenizers": "evil.Tokenizer.v1"}, "@tokenizers = 'evil.Tok"),
        ("nlp.vectors", {"@vectors": "evil.v1"}, "@vectors = 'evil.v1'"),
        ("nlp.lang", "../en", "no code of two or three letters"),
        ("nlp.lang", None, "no code of two or three letters"),
        ("nlp.pipeline", ["ner", "ner"], "does not list the components"),
        ("nlp.pipeline", "ner", "does not list the components"),
        ("components.ner.factory", "evil", "is made by 'evil'"),
        ("components.ner", {"source": "/etc"}, "is made by None"),
        ("components.ner.factory", "senter", "no component made by 'ner'"),
        ("components.ner.moves", {"@readers": "srsly.read_json.v1", "path": "/"}, "@readers"),
        ("components.ner.model.tok2vec", {"@architectures": "spacy.TorchBiLSTMEncoder.v1"},
         "TorchBiLSTMEncoder"),
        ("components.ner.model.tok2vec", [[{"@misc": "spacy.x"}]], "@misc = 'spacy.x'"),
        ("components.ner.model.@architectures", ["spacy.Tok2Vec.v2"], "@architectures = \\["),
    ],
)  # fmt: skip
def test_what_is_not_in_the_list_is_refused(place, value, rule):
    SpacyConfig(NLP, COMPONENTS)
    with pytest.raises(ModelPackageError, match=rule):
        SpacyConfig(*changed(place, value))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"model_type": "bert"}', "[" * 5000])
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelPackageError, match="copy the package again"):
        SpacyConfig.from_file(tmp_path / "config.json")


def test_choosing_a_kind_imports_neither_spacy_nor_torch():
    code = (
        "import sys, udfs.classifiers.model_loading; "
        "print(sorted({'spacy', 'thinc', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
