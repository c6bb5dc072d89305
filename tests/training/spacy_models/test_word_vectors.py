"""word2vec's files, written here byte by byte as their format says."""

import struct

import numpy as np
import pytest
import spacy

from training.spacy_models.word_vectors import find_vectors, read_word2vec, write_vectors
from udfs.errors import InputError

WORDS = ["</s>", "aspirin", "Kopfschmerz-ä", "aspirin", "fever"]
NUMBERS = np.arange(20, dtype=np.float32).reshape(5, 4) / 3


def binary(newline=b"\n", words=WORDS, header=b"5 4\n"):
    entries = (
        (word if isinstance(word, bytes) else word.encode()) + b" " + struct.pack("<4f", *row)
        for word, row in zip(words, NUMBERS, strict=True)
    )
    return header + b"".join(entry + newline for entry in entries)


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_a_binary_file_is_read_with_and_without_line_breaks(tmp_path, newline):
    path = tmp_path / "w2v.bin"
    path.write_bytes(binary(newline))
    words, numbers = read_word2vec(path, 100)
    assert words == ["</s>", "aspirin", "Kopfschmerz-ä", "fever"]
    assert np.array_equal(numbers, NUMBERS[[0, 1, 2, 4]])  # of a word that comes twice the first
    words, numbers = read_word2vec(path, 2)
    assert (words, numbers.shape) == (["</s>", "aspirin"], (2, 4))


def test_text_is_read_as_the_binary_file_is(tmp_path):
    lines = [
        f"{word} {' '.join(repr(float(number)) for number in row)}"
        for word, row in zip(WORDS, NUMBERS, strict=True)
    ]
    (tmp_path / "w2v.txt").write_text("5 4\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "w2v.bin").write_bytes(binary())
    ours, theirs = (read_word2vec(tmp_path / f"w2v.{kind}", 9) for kind in ("txt", "bin"))
    assert ours[0] == theirs[0]
    assert np.array_equal(ours[1], theirs[1])


def test_words_that_are_no_text_are_left_out(tmp_path):
    path = tmp_path / "w2v.bin"
    path.write_bytes(binary(words=[b"\xff", *WORDS[1:]]))
    assert read_word2vec(path, 9)[0] == ["aspirin", "Kopfschmerz-ä", "fever"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "the first line must be two numbers"),
        (b"PK\x03\x04 zip\n", "the first line must be two numbers"),
        (b"5 0\n", "vectors of 0 numbers"),
        (b"5 99999999999\n", "vectors of 99999999999 numbers"),
        (b"0 4\n", "has no word vectors"),
        (binary()[:-3], "word 5 is cut off"),
        (binary(header=b"6 4\n"), "word 6 is cut off"),
        (b"5 4\n" + b"x" * 5000, "word 1 is cut off"),
    ],
)
def test_a_file_that_is_none_or_cut_off_is_refused(tmp_path, content, rule):
    path = tmp_path / "w2v.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rule):
        read_word2vec(path, 9)


def test_vectors_of_a_file_and_of_a_pipeline_come_into_a_pipeline(tmp_path):
    (tmp_path / "w2v.bin").write_bytes(binary())
    vectors = find_vectors(str(tmp_path / "w2v.bin"), 100)
    folder = write_vectors(vectors, tmp_path / "made")
    again = write_vectors(find_vectors(str(folder), 100), tmp_path / "again")
    for place in (folder, again):
        nlp = spacy.load(place)
        assert np.array_equal(nlp.vocab["fever"].vector, NUMBERS[4])
        assert not nlp.vocab["unheard"].has_vector
    for name, limit, rule in (
        (str(tmp_path / "absent.bin"), 9, "must be a file of word2vec, a folder"),
        ("no_such_package", 9, "must be a file of word2vec, a folder"),
        (str(tmp_path / "w2v.bin"), 0, "vector words 0 must be at least 1"),
        (str(tmp_path / "made" / "meta.json"), 9, "must be of word2vec"),
    ):
        with pytest.raises(InputError, match=rule):
            find_vectors(name, limit)
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(InputError, match="has no word vectors"):
        write_vectors(find_vectors(str(tmp_path / "blank"), 9), tmp_path / "none")
