"""What Spark NLP is given and what is made of its answers, against the Torch engine; no JVM.

`SparkNlp` here does with a row what Spark NLP 5.5 does: it splits every word by the vocabulary,
longest match first, and tags it as the model tags its first word-piece.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import ARGMAX, VITERBI
from udfs.decoding.score_calibration import UNCALIBRATED, ScoreCalibration
from udfs.errors import PredictionError
from udfs.network.tokenization import WindowTokenizer
from udfs.package.model_package import load_manifest
from udfs.spark_nlp.spark_nlp_answers import rows_to_predictions
from udfs.spark_nlp.spark_nlp_rows import (
    PIECES_PER_ROW,
    TO_TAG,
    UNKNOWN_WORD,
    WindowRule,
    windows_to_rows,
)
from udfs.spark_nlp.vocabulary import read_vocabulary

BODY, OVERLAP = 14, 5  # those of the package: at most 16 word-pieces with [CLS] and [SEP]
WHOLE = ["aspirin", "asp", "head", "fever", "the", "no", "and", "mg", ",", "(", ".", "😀", "a"]
PARTED = ["headache", "xyz", "Fe\u0301ver", "12", "Q", "[SEP]", "[UNK]", "\ue000", "a" * 130]
BLANKS = [" ", "", "\n", "\r\n", "\x00", "\u0301", "\ufe0f", "\u2029", "\u093e"]

Score = Callable[[list[int]], np.ndarray]


class SparkNlp:
    """Tags rows; `score` gives the probabilities of every tag for the word-pieces of a piece."""

    def __init__(self, package: Path, score: Score) -> None:
        pieces = read_vocabulary((package / "tokenizer.json").read_text(encoding="utf-8"))
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        self._score = score

    def tag(self, rows: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            answers = batch.to_pylist()
            for row in answers:
                slots, pieces = row.pop("slots"), row.pop("pieces")
                found = self._tag(slots, [*pieces, len(slots)])
                row["tagged"] = list(range(len(slots)))
                row["probabilities"] = np.concatenate([*found, np.zeros(0)]).tolist()
            yield pa.RecordBatch.from_pylist(answers)

    def _tag(self, slots: list[str], borders: list[int]) -> Iterator[np.ndarray]:
        for begin, end in pairwise(borders):
            split = [self.split(word) for word in slots[begin:end]]
            scores = self._score([number for ids in split for number in ids])
            starts = np.cumsum([0, *(len(ids) for ids in split[:-1])])
            yield scores[starts].astype(np.float32).ravel()

    def split(self, word: str) -> list[int]:
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if (number := self._ids.get(prefix + word[start:end])) is not None:
                    break
            else:
                return [self._ids["[UNK]"]]
            ids.append(number)
            start = end
        return ids


@pytest.fixture(scope="module")
def rule(random_package: Path) -> WindowRule:
    tokenizer = zlib.compress((random_package / "tokenizer.json").read_bytes())
    return WindowRule(tokenizer, BODY + 2, OVERLAP, tokens_per_row=4096)


@pytest.fixture(scope="module")
def classifier(random_package: Path) -> TokenClassifier:
    return TokenClassifier.load(random_package, "cpu", "float32", 1, 4096)


@pytest.fixture(scope="module")
def model(random_package: Path, classifier: TokenClassifier) -> Score:
    """The probabilities of the package's own network."""
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")

    def score(ids: list[int]) -> np.ndarray:
        assert 0 < len(ids) <= BODY, "Spark NLP would cut this off"
        framed = np.array([tokenizer.cls_id, *ids, tokenizer.sep_id])
        logits = classifier._encoder.logits(framed, np.array([len(framed)]))[1:-1]
        return torch.softmax(logits, dim=-1).numpy()

    return score


def batches_of(texts: Sequence[str], size: int = 256) -> Iterator[pa.RecordBatch]:
    rows = [{"window_hash": f"{i:08x}", "text": text} for i, text in enumerate(texts)]
    for begin in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[begin : begin + size])


def rows_of(texts: Sequence[str], rule: WindowRule) -> list[dict]:
    return [row for batch in windows_to_rows(batches_of(texts), rule) for row in batch.to_pylist()]


def predict(
    texts: Sequence[str],
    package: Path,
    rule: WindowRule,
    score: Score,
    calibration: ScoreCalibration = UNCALIBRATED,
    decoding: str = ARGMAX,
) -> list[dict]:
    """The predictions of these windows, in their order."""
    rows = SparkNlp(package, score).tag(windows_to_rows(batches_of(texts, 30), rule))
    scheme = replace(load_manifest(package), decoding=decoding).scheme
    answers = rows_to_predictions(rows, scheme, calibration)
    found = [row for batch in answers for row in batch.to_pylist()]
    found.sort(key=lambda row: row["window_hash"])
    assert [row["window_hash"] for row in found] == [f"{i:08x}" for i in range(len(texts))]
    return found


def assert_same(found: dict, expected) -> None:
    spans = [(s["begin"], s["end"], s["label"]) for s in found["spans"]]
    assert spans == [(s.begin, s.end, s.label) for s in expected.spans]
    assert [s["score"] for s in found["spans"]] == pytest.approx(
        [s.score for s in expected.spans], abs=1e-4
    )
    assert found["wordpieces"] == expected.wordpieces
    assert found["unread_characters"] == expected.unread_characters


def test_both_engines_calibrate_scores(
    random_package, rule, classifier, model, monkeypatch
) -> None:
    calibration = ScoreCalibration(1.5, {"Chemical": -1.0, "Disease": 0.5})
    texts = ["the aspirin and fever", "no headache, aspirin"]
    plain = classifier.predict(texts)
    calibrated = replace(classifier.manifest, calibration=calibration)
    monkeypatch.setattr(classifier, "manifest", calibrated)
    expected = classifier.predict(texts)
    assert expected != plain
    for one, other in zip(
        predict(texts, random_package, rule, model, calibration), expected, strict=True
    ):
        assert_same(one, other)


def test_both_engines_choose_tags_together(
    random_package, rule, classifier, model, monkeypatch
) -> None:
    texts = [f"the aspirin and {word} fever no headache" for word in ("mg", "severe", "study", "x")]
    alone = classifier.predict(texts)
    scheme = replace(classifier.manifest, decoding=VITERBI).scheme
    monkeypatch.setattr(classifier, "scheme", scheme)
    expected = classifier.predict(texts)
    assert expected != alone
    found = predict(texts, random_package, rule, model, decoding=VITERBI)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("tokens_per_row", [1, 64, 4096])
def test_both_engines_find_the_same_spans(
    random_package, rule, classifier, model, tokens_per_row
) -> None:
    """Short windows of any words, and windows of many pieces that are cut between words."""
    chosen = random.Random(8)
    texts = [" ".join(chosen.choices(WHOLE, k=chosen.randint(1, 60))) for _ in range(25)]
    texts += ["".join(chosen.choices(WHOLE[:4] + PARTED[:4] + BLANKS, k=4)) for _ in range(40)]
    texts += ["", "😀", texts[3]]
    narrow = WindowRule(rule.tokenizer, rule.max_wordpieces, rule.overlap, tokens_per_row)
    found = predict(texts, random_package, narrow, model)
    expected = classifier.predict(texts)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert sum(len(one["spans"]) for one in found) > 60
    assert sum(one["wordpieces"] > 2 * BODY for one in found) > 5


class Always:
    """An encoder that gives every word-piece the same logits."""

    device = torch.device("cpu")

    def __init__(self, *logits: float) -> None:
        self.row = torch.tensor(logits)

    def logits(self, ids: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
        return self.row.expand(len(wanted), len(self.row))


@given(
    parts=st.lists(st.sampled_from(WHOLE + PARTED + BLANKS) | st.text(max_size=3), max_size=40),
    logits=st.sampled_from([(0, 9, 0, 0, 0), (0, 0, 9, 0, 0), (0, 1, 2, 3, 1)]),
)
def test_offsets_and_counts_are_those_of_torch_whatever_the_text(
    random_package, rule, parts, logits
) -> None:
    text = "".join(parts)
    always = Always(*map(float, logits))
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")
    torch_engine = TokenClassifier(load_manifest(random_package), tokenizer, always, 4096)
    same = torch.softmax(always.row, dim=-1).numpy()
    [found] = predict([text], random_package, rule, lambda ids: np.tile(same, (len(ids), 1)))
    assert_same(found, torch_engine.predict([text])[0])


@given(st.lists(st.sampled_from(WHOLE + PARTED), min_size=1, max_size=40))
def test_spark_nlp_splits_our_words_as_our_tokenizer_does(random_package, rule, words) -> None:
    text = " ".join(words)
    [row] = rows_of([text], rule)
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")
    [encoded] = tokenizer.encode([text])
    engine = SparkNlp(random_package, lambda ids: np.zeros((len(ids), 5)))
    starts = [*encoded.first_pieces.tolist(), len(encoded.ids)]
    whole = [encoded.ids[a:b].tolist() for a, b in pairwise(starts)]
    assert len(row["deciders"]) == len(whole)
    for decider, ids in zip(row["deciders"], whole, strict=True):
        read = engine.split(row["slots"][decider])
        # The last word of a piece may be cut off, never its first word-piece.
        assert read == ids[: len(read)] and read


def test_a_row_is_no_larger_than_one_batch(rule) -> None:
    texts = ["aspirin", "fever and headache"] * 100 + ["head " * n for n in (10, 50, 300)]
    small = WindowRule(rule.tokenizer, rule.max_wordpieces, rule.overlap, tokens_per_row=100)
    rows = rows_of(texts, small)
    assert sorted(h for row in rows for h in row["window_hash"]) == [
        f"{i:08x}" for i in range(len(texts))
    ]
    several = [row for row in rows if len(row["window_hash"]) > 1]
    assert max(len(row["pieces"]) for row in several) <= PIECES_PER_ROW
    assert max(len(row["pieces"]) * (BODY + 2) for row in several if max(row["words"]) > 9) <= 100
    assert len(several) < 20
    # A window of many pieces stands in one row all the same.
    assert max(len(row["pieces"]) for row in rows) > PIECES_PER_ROW


def test_the_rest_of_a_cut_word_keeps_its_places_and_decides_nothing(random_package, rule) -> None:
    text = " ".join(["xyzxyz"] * 9)  # 54 word-pieces; a piece begins at every ninth
    [row] = rows_of([text], rule)
    engine = SparkNlp(random_package, lambda ids: np.zeros((len(ids), 5)))
    lengths = []
    for begin, end in pairwise([*row["pieces"], len(row["slots"])]):
        lengths.append(sum(len(engine.split(word)) for word in row["slots"][begin:end]))
    assert lengths == [BODY] * (len(lengths) - 1) + [54 - 9 * (len(lengths) - 1)]
    assert row["slots"].count(UNKNOWN_WORD) > 3
    deciding = [row["slots"][slot] for slot in row["deciders"]]
    assert len(deciding) == 9 and UNKNOWN_WORD not in deciding


def test_a_word_that_the_vocabulary_cannot_spell_is_one_unknown_token(random_package, rule) -> None:
    [row] = rows_of(["fever ∑∏ mg 😀"], rule)
    assert row["slots"] == ["fever", UNKNOWN_WORD, "mg", UNKNOWN_WORD]
    assert row["unread_characters"] == [3]
    engine = SparkNlp(random_package, lambda ids: np.zeros((len(ids), 5)))
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")
    assert engine.split(UNKNOWN_WORD) == [tokenizer.unknown_id]


def test_windows_without_a_word_have_no_spans_and_ask_for_nothing(random_package, rule) -> None:
    def refuse(ids: list[int]) -> np.ndarray:
        raise AssertionError("there is nothing to tag")

    found = predict(["", " \r\n", "\x00"], random_package, rule, refuse)
    assert [(row["spans"], row["wordpieces"]) for row in found] == [([], 0)] * 3


def test_a_word_without_a_tag_is_an_error_that_holds_no_text(random_package, rule) -> None:
    [batch] = windows_to_rows(batches_of(["aspirin for fever"]), rule)
    engine = SparkNlp(random_package, lambda ids: np.full((len(ids), 5), 0.2))
    [answer] = engine.tag([batch])
    [row] = answer.to_pylist()
    for lost in (
        {"tagged": [0, 2], "probabilities": row["probabilities"][:10]},
        {"probabilities": [None, *row["probabilities"][1:]]},
    ):
        broken = pa.RecordBatch.from_pylist([row | lost])
        with pytest.raises(PredictionError, match="no tag to 1 of 3 words") as caught:
            list(rows_to_predictions([broken], load_manifest(random_package).scheme))
        assert "fever" not in str(caught.value)


def test_rows_have_the_schema_that_spark_is_told(rule) -> None:
    [batch] = windows_to_rows(batches_of(["fever"]), rule)
    assert batch.schema == TO_TAG
