"""Which tokenizers Spark NLP can read, and how their vocabulary becomes a list."""

import json

import pytest

from udfs.errors import ModelPackageError
from udfs.spark_nlp.vocabulary import read_vocabulary

MODEL = {
    "type": "WordPiece",
    "continuing_subword_prefix": "##",
    "unk_token": "[UNK]",
    "vocab": {"fever": 2, "[UNK]": 0, "##s": 1},
}


def test_pieces_stand_at_their_ids() -> None:
    assert read_vocabulary(json.dumps({"model": MODEL})) == ["[UNK]", "##s", "fever"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "BPE"}, "'BPE'"),
        ({"continuing_subword_prefix": ""}, "'##'"),
        ({"unk_token": "<unk>"}, "'<unk>'"),
        ({"vocab": {"[UNK]": 0, "fever": 2}}, "not 0 to 1"),
        ({"vocab": {"[UNK]": 0, "fever": 0}}, "not 0 to 1"),
        ({"vocab": {"[UNK]": "zero"}}, "no word-piece vocabulary"),
        ({"vocab": None}, "no word-piece vocabulary"),
    ],
)
def test_another_vocabulary_is_refused(change: dict, words: str) -> None:
    with pytest.raises(ModelPackageError, match="--engine torch") as caught:
        read_vocabulary(json.dumps({"model": MODEL | change}))
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", '{"model": []}', "[" * 100_000])
def test_what_is_no_tokenizer_is_refused(text: str) -> None:
    with pytest.raises(ModelPackageError, match="no word-piece vocabulary"):
        read_vocabulary(text)
