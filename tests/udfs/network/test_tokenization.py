import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from udfs.errors import ModelPackageError
from udfs.network.tokenization import LONGEST_WORD, EncodedWindow, WindowTokenizer, cut_pieces


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file: Path) -> WindowTokenizer:
    return WindowTokenizer.from_file(tokenizer_file)


def pieces_of(window: EncodedWindow, text: str) -> list[str]:
    return [text[b:e] for b, e in zip(window.begins, window.ends, strict=True)]


def words_of(window: EncodedWindow, text: str) -> list[str]:
    return [text[b:e] for b, e in zip(window.word_begins, window.word_ends, strict=True)]


def test_nothing_is_truncated_padded_or_framed(tokenizer, tokenizer_file):
    assert json.loads(tokenizer_file.read_text())["truncation"]["max_length"] == 8
    long, short = tokenizer.encode(["aspirin " * 500, "mg"])
    assert len(long.ids) == 500
    assert len(short.ids) == 1


@pytest.mark.parametrize("token", ["[SEP]", "[CLS]", "[PAD]", "[UNK]", "[MASK]"])
def test_special_tokens_in_a_text_are_ordinary(tokenizer, token):
    text = f"the {token} fever"
    [window] = tokenizer.encode([text])
    assert words_of(window, text) == ["the", "[", token[1:-1], "]", "fever"]
    special = {tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id, tokenizer.unknown_id}
    assert not special & set(window.ids.tolist())


@pytest.mark.parametrize("length", [LONGEST_WORD, LONGEST_WORD + 1, 3 * LONGEST_WORD + 7])
def test_a_long_word_is_cut_and_read(tokenizer, tokenizer_file, length):
    text = f"mg {'a' * length} mg"
    [window] = tokenizer.encode([text])
    assert tokenizer.unknown_id not in window.ids
    assert len(window.ids) == length + 2
    assert "".join(words_of(window, text)) == text.replace(" ", "")
    assert max(map(len, words_of(window, text))) == LONGEST_WORD
    stock = Tokenizer.from_file(str(tokenizer_file))
    assert (tokenizer.unknown_id in stock.encode(text).ids) == (length > LONGEST_WORD)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Aspirin 81mg", ["Aspirin", "8", "1", "m", "g"]),
        ("😀 headache", ["😀", "head", "ache"]),
        ("fever\r\nno", ["fever", "no"]),
        ("fe\x00ver mg", ["fe\x00ver", "mg"]),
        ("fe\u0301ver", ["fe\u0301ver"]),
        ("f\u00e9ver", ["f\u00e9ver"]),
        ("no\ufffdmg", ["no", "m", "g"]),
        ("𝐀 mg", ["𝐀", "mg"]),
        ("the(fever)", ["the", "(", "fever", ")"]),
        ("中a", ["中", "a"]),
    ],
)
def test_offsets_count_code_points_of_the_text(tokenizer, text, pieces):
    [window] = tokenizer.encode([text])
    assert pieces_of(window, text) == pieces


def test_words_and_their_first_pieces(tokenizer):
    text = "aspirins, (headache)"
    [window] = tokenizer.encode([text])
    assert pieces_of(window, text) == ["aspirin", "s", ",", "(", "head", "ache", ")"]
    assert window.word_index.tolist() == [0, 0, 1, 2, 3, 3, 4]
    assert window.first_pieces.tolist() == [0, 2, 3, 4, 6]
    assert words_of(window, text) == ["aspirins", ",", "(", "headache", ")"]


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00", "\u0301"])
def test_a_text_without_word_pieces(tokenizer, text):
    before, window, after = tokenizer.encode(["mg", text, "mg"])
    for column in EncodedWindow.__slots__:
        assert len(getattr(window, column)) == 0
    assert len(before.ids) == len(after.ids) == 1
    assert tokenizer.encode([]) == []


TEXTS = st.lists(
    st.sampled_from(
        ["aspirin", "fever", " ", ",", "\r\n", "\x00", "😀", "e\u0301", "[SEP]", "a" * 130]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(text=TEXTS)
def test_words_and_word_pieces_are_ordered_and_lie_in_the_text(tokenizer, text):
    [window] = tokenizer.encode([text])
    n, words = len(window.ids), len(window.first_pieces)
    columns = (window.begins, window.ends, window.word_index)
    assert {len(column) for column in columns} == {n}
    assert len(window.word_begins) == len(window.word_ends) == words
    for begins, ends in ((window.begins, window.ends), (window.word_begins, window.word_ends)):
        previous = 0
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            # One character may become several pieces ("½" is "1⁄2"): they share its offsets.
            assert 0 <= begin < end <= len(text)
            assert begin >= previous
            previous = begin
    for word, first in enumerate(window.first_pieces.tolist()):
        assert window.word_index[first] == word
        assert window.begins[first] == window.word_begins[word]
    assert window.word_index.tolist() == sorted(window.word_index.tolist())
    assert set(window.word_index.tolist()) == set(range(words))


@given(texts=st.lists(TEXTS, max_size=4))
def test_a_text_is_read_the_same_in_any_company(tokenizer, texts):
    for text, window in zip(texts, tokenizer.encode(texts), strict=True):
        [alone] = tokenizer.encode([text])
        for column in EncodedWindow.__slots__:
            assert getattr(window, column).tolist() == getattr(alone, column).tolist()


def distance_to_a_cut(j: int, begin: int, end: int, n: int) -> int:
    """How many neighbours `j` has in this piece up to the nearest cut; the text's ends are none."""
    left = j - begin if begin > 0 else n
    right = end - 1 - j if end < n else n
    return min(left, right)


@given(st.integers(1, 200), st.integers(1, 24), st.data())
def test_each_word_piece_is_decided_once_where_it_is_farthest_from_a_cut(n, max_body, data):
    overlap = data.draw(st.integers(0, max_body - 1))
    pieces = cut_pieces(n, max_body, overlap)
    assert pieces[0].begin == 0
    assert pieces[-1].end == n
    assert all(0 < p.end - p.begin <= max_body for p in pieces)
    assert [j for p in pieces for j in range(p.decides_from, p.decides_to)] == list(range(n))
    for p in pieces:
        for j in range(p.decides_from, p.decides_to):
            assert p.begin <= j < p.end
            others = [q for q in pieces if q.begin <= j < q.end]
            best = max(distance_to_a_cut(j, q.begin, q.end, n) for q in others)
            assert distance_to_a_cut(j, p.begin, p.end, n) == best
    for left, right in pairwise(pieces):
        assert left.end - right.begin == overlap
        assert left.end - left.begin == max_body


def test_a_window_that_fits_is_one_piece():
    for n in (0, 1, 14):
        [piece] = cut_pieces(n, 14, 5)
        assert (piece.begin, piece.end, piece.decides_from, piece.decides_to) == (0, n, 0, n)
    assert len(cut_pieces(15, 14, 5)) == 2


@pytest.mark.parametrize("overlap", [-1, 14, 15])
def test_an_overlap_as_long_as_a_piece_is_refused(overlap):
    with pytest.raises(ValueError, match=f"overlap {overlap} is not in 0 to 13"):
        cut_pieces(20, 14, overlap)


def test_files_that_are_no_tokenizer_are_refused(tmp_path, tokenizer_file):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(ModelPackageError, match="not a readable tokenizer"):
        WindowTokenizer.from_file(path)
    for content in (b"", b"{}", b"null", b"\xff\xfe", tokenizer_file.read_bytes()[:-20]):
        path.write_bytes(content)
        with pytest.raises(ModelPackageError, match="not a readable tokenizer") as caught:
            WindowTokenizer.from_file(path)
        assert caught.value.__suppress_context__


def test_a_tokenizer_without_berts_special_tokens_is_refused(tmp_path, tokenizer_file):
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer_file.read_text().replace("[CLS]", "<s>"))
    with pytest.raises(ModelPackageError, match=r"no \[CLS\]"):
        WindowTokenizer.from_file(path)


def test_the_vocabulary_is_as_large_as_its_highest_id(tokenizer_file, tmp_path):
    raw = json.loads(tokenizer_file.read_text())
    before = WindowTokenizer.from_file(tokenizer_file).vocabulary_size
    assert before == len(raw["model"]["vocab"])
    raw["model"]["vocab"]["zzz"] = 5000
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(raw))
    assert WindowTokenizer.from_file(path).vocabulary_size == 5001
