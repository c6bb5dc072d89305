"""Each family: our logits are those of transformers, its text is read with exact offsets."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForTokenClassification

from udfs.classifiers.token_classifier import TokenClassifier
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import ModelPackageError
from udfs.network.encoder import Encoder
from udfs.network.tokenization import EncodedWindow, WindowTokenizer
from udfs.network.word_borders import NO_WORD
from udfs.package.encoder_config import EncoderConfig
from udfs.package.model_package import REQUIRED_FILES, ModelManifest, sha256_of, write_manifest

CPU = torch.device("cpu")
LABELS = bio_labels(["Chemical", "Disease"])
FAMILIES = ("albert", "bert", "distilbert", "roberta")


@pytest.fixture(scope="module")
def tiny(load_tiny) -> ModuleType:
    return load_tiny("tiny_families")


@pytest.fixture(scope="module")
def write(tiny, tmp_path_factory) -> Callable[..., Path]:
    """Folders of token classifiers as transformers saves them."""

    def make(family: str, **changes: int) -> Path:
        return tiny.write_tiny_family(
            tmp_path_factory.mktemp("tiny") / family, family, LABELS, **changes
        )

    return make


def encoder(folder: Path) -> Encoder:
    config = EncoderConfig.from_file(folder / "config.json")
    return Encoder(folder / "model.safetensors", config, len(LABELS), CPU, torch.float32)


VARIANTS = [(family, {}) for family in FAMILIES]
VARIANTS += [
    ("albert", {"num_hidden_layers": 5, "num_hidden_groups": 2, "inner_group_num": 2}),
    ("albert", {"hidden_act": "gelu", "embedding_size": 32}),
    ("bert", {"hidden_act": "gelu_new"}),
    ("roberta", {"pad_token_id": 4, "type_vocab_size": 2}),
]


@pytest.mark.parametrize(("family", "changes"), VARIANTS, ids=str)
def test_logits_are_those_of_transformers(write, family, changes):
    folder = write(family, **changes)
    reference = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    ours = encoder(folder)
    for lengths in ([12, 12, 12], [1], [30], [12, 7, 7, 3, 1, 1], [30, 29, 2]):
        # Numbers of word-pieces, not of special tokens: RoBERTa counts no position for padding.
        ids = np.random.default_rng(1).integers(10, reference.config.vocab_size, sum(lengths))
        pieces = torch.from_numpy(ids).split(lengths)
        with torch.inference_mode():
            expected = torch.cat([reference(input_ids=piece[None]).logits[0] for piece in pieces])
        found = ours.logits(ids, np.array(lengths))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert found.std() > 0.5
        if max(lengths) > 1:
            assert found.argmax(dim=-1).unique().numel() > 1


def test_albert_repeats_the_layers_of_its_groups(write):
    config = EncoderConfig.from_file(
        write("albert", num_hidden_layers=4, num_hidden_groups=2) / "config.json"
    )
    place = "albert.encoder.albert_layer_groups.{}.albert_layers.0."
    assert config.layer_prefixes() == [place.format(group) for group in (0, 0, 1, 1)]


def test_albert_has_an_activation_of_its_own(write, tmp_path):
    raw = json.loads((write("albert") / "config.json").read_text())
    assert raw.pop("hidden_act") == "gelu_new"
    (tmp_path / "config.json").write_text(json.dumps(raw))
    assert EncoderConfig.from_file(tmp_path / "config.json").activation == "gelu_new"


def test_roberta_has_fewer_places_than_positions(write):
    config = EncoderConfig.from_file(write("roberta", positions=40) / "config.json")
    assert (config.max_position_embeddings, config.longest_piece) == (42, 40)


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("albert", {"embedding_size": ...}, "'embedding_size' is missing"),
        ("albert", {"num_hidden_groups": 4}, "num_hidden_groups is 4, it must be from 1 to"),
        ("albert", {"inner_group_num": 10**6}, "inner_group_num is 1000000"),
        ("albert", {"hidden_act": "swish"}, "runs 'gelu', 'gelu_new' only"),
        ("distilbert", {"dim": ...}, "'dim' is missing"),
        ("distilbert", {"activation": "relu"}, "activation is 'relu'"),
        ("roberta", {"pad_token_id": None}, "is missing or not a number"),
        ("roberta", {"pad_token_id": 99}, "leave no position after pad_token_id 99"),
        ("roberta", {"is_decoder": True}, "is_decoder is True"),
    ],
)
def test_configs_that_are_refused(write, tmp_path, family, changes, words):
    raw = json.loads((write(family) / "config.json").read_text()) | changes
    path = tmp_path / "config.json"
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not ...}))
    with pytest.raises(ModelPackageError, match=words):
        EncoderConfig.from_file(path)


def test_weights_of_another_family_are_refused(write, tmp_path):
    config = EncoderConfig.from_file(write("roberta") / "config.json")
    with pytest.raises(ModelPackageError, match="do not fit a RobertaForTokenClassification"):
        Encoder(write("bert") / "model.safetensors", config, len(LABELS), CPU, torch.float32)


@pytest.mark.parametrize("family", ["albert", "distilbert", "roberta"])
def test_windows_of_any_length_in_any_company(write, family):
    folder = write(family)
    files = {name: sha256_of(folder / name) for name in REQUIRED_FILES}
    write_manifest(folder, ModelManifest("tiny", LABELS, files, max_wordpieces=16, overlap=5))
    texts = ["Aspirin 81 mg, no fever 😀.\r\n" * n for n in (1, 4, 40)]
    texts += ["", " ", "rash", "(anemia)", "ibuprofen of 20 patients"]
    together = TokenClassifier.load(folder, "cpu", "float32").predict(texts)
    narrow = TokenClassifier.load(folder, "cpu", "float32", tokens_per_batch=16)
    assert together[2].wordpieces > 300
    assert sum(len(found.spans) for found in together) > 40
    for text, found in zip(texts, together, strict=True):
        [alone] = narrow.predict([text])
        places = [(s.begin, s.end, s.label) for s in found.spans]
        assert places == [(s.begin, s.end, s.label) for s in alone.spans]
        scores = [s.score for s in alone.spans]
        assert [s.score for s in found.spans] == pytest.approx(scores, abs=1e-4)
        assert all(text[b:e] == text[b:e].strip() for b, e, _ in places)


# --- Text -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizers(tiny) -> dict[str, WindowTokenizer]:
    return {family: WindowTokenizer(tiny.make_tokenizer(family)) for family in FAMILIES}


def words_of(window: EncodedWindow, text: str) -> list[str]:
    return [text[b:e] for b, e in zip(window.word_begins, window.word_ends, strict=True)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Aspirin 81mg daily", ["Aspirin", "81mg", "daily"]),
        ("(fever) , no", ["(", "fever", ")", ",", "no"]),
        ("fever\r\nno\n\nrash", ["fever", "no", "rash"]),
        ("  fever   no ", ["fever", "no"]),
        ("😀 headache 😀", ["😀", "headache", "😀"]),
        ("𝐀 fe\u0301ver f\u00e9ver", ["𝐀", "fe\u0301ver", "f\u00e9ver"]),
        ("no-fever", ["no", "-", "fever"]),
        ("1/2 rash", ["1", "/", "2", "rash"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_every_family_has_the_same_words(tokenizers, family, text, words):
    [window] = tokenizers[family].encode([text])
    assert words_of(window, text) == words


@pytest.mark.parametrize(("family", "words"), [("roberta", [")."]), ("bert", [")", "."])])
def test_a_piece_of_two_marks_is_one_word(tiny, family, words):
    tokenizer = tiny.make_tokenizer(family)
    if family == "roberta":
        raw = json.loads(tokenizer.to_str())
        raw["model"]["vocab"][")."] = max(raw["model"]["vocab"].values()) + 1
        raw["model"]["merges"].append([")", "."])
        tokenizer = type(tokenizer).from_str(json.dumps(raw))
    [window] = WindowTokenizer(tokenizer).encode(["fever)."])
    assert words_of(window, "fever).") == ["fever", *words]


def test_the_mark_of_a_space_alone_decides_for_its_word(tokenizers):
    """There the model was trained to have the tag, so that is where it is read."""
    text = "no Xyz"
    for family, blank in (("roberta", "Ġ"), ("albert", "▁")):
        tokenizer = tokenizers[family]
        [window] = tokenizer.encode([text])
        first = int(window.first_pieces[1])
        assert tokenizer._tokenizer.id_to_token(int(window.ids[first])) == blank
        assert text[window.word_begins[1] : window.word_ends[1]] == "Xyz"


@pytest.mark.parametrize(
    ("family", "frame", "unknown"),
    [
        ("bert", ("[CLS]", "[SEP]"), "[UNK]"),
        ("albert", ("[CLS]", "[SEP]"), "<unk>"),
        ("roberta", ("<s>", "</s>"), "<unk>"),
    ],
)
def test_special_tokens(tokenizers, family, frame, unknown):
    tokenizer = tokenizers[family]
    names = [tokenizer._tokenizer.id_to_token(i) for i in (tokenizer.cls_id, tokenizer.sep_id)]
    assert tuple(names) == frame
    assert tokenizer._tokenizer.id_to_token(tokenizer.unknown_id) == unknown
    text = f"no {frame[1]} fever"
    [window] = tokenizer.encode([text])
    assert not {tokenizer.cls_id, tokenizer.sep_id} & set(window.ids.tolist())


def unread(tokenizer: WindowTokenizer, text: str) -> int:
    [window] = tokenizer.encode([text])
    unknown = window.ids == tokenizer.unknown_id
    return int((window.ends - window.begins)[unknown].sum())


def test_characters_that_no_vocabulary_spells_are_unread(tokenizers):
    assert unread(tokenizers["albert"], "fever 😀😀 no") == 2
    assert unread(tokenizers["bert"], "fever 😀😀 no") == 2
    assert unread(tokenizers["roberta"], "fever 😀😀 no") == 0  # bytes spell everything


def test_words_of_any_length_are_read(tokenizers):
    for family in ("albert", "roberta"):
        [window] = tokenizers[family].encode(["a" * 5000])
        assert (window.word_begins.tolist(), window.word_ends.tolist()) == ([0], [5000])
        assert tokenizers[family].unknown_id not in window.ids


PARTS = [
    "fever",
    "Aspirin",
    " ",
    "  ",
    "\r\n",
    ",",
    ").",
    "😀",
    "e\u0301",
    "½",
    "\x00",
    "don't",
    "中文",
]


@given(text=st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=12).map("".join))
def test_words_are_ordered_disjoint_and_whole(tokenizers, text):
    for family in ("albert", "roberta"):
        [window] = tokenizers[family].encode([text])
        words = len(window.word_begins)
        assert len(window.ids) == len(window.begins) == len(window.ends) == len(window.word_index)
        assert len(window.first_pieces) == len(window.word_ends) == words
        previous = 0
        for begin, end in zip(window.word_begins.tolist(), window.word_ends.tolist(), strict=True):
            assert previous <= begin < end <= len(text)
            assert not text[begin].isspace() and not text[end - 1].isspace()
            previous = end
        assert window.first_pieces.tolist() == sorted(set(window.first_pieces.tolist()))
        assert window.word_index[window.first_pieces].tolist() == list(range(words))
        read = set(window.word_index.tolist()) - {NO_WORD}
        assert read == set(range(words))
        if family == "roberta":  # which loses no character
            covered = {i for b, e in zip(window.word_begins, window.word_ends, strict=True)
                       for i in range(b, e)}  # fmt: skip
            assert {i for i, c in enumerate(text) if not c.isspace()} <= covered


@given(texts=st.lists(st.text(max_size=8), max_size=3))
def test_a_text_is_read_the_same_in_any_company(tokenizers, texts):
    for family in ("albert", "roberta"):
        for text, window in zip(texts, tokenizers[family].encode(texts), strict=True):
            [alone] = tokenizers[family].encode([text])
            for column in EncodedWindow.__slots__:
                assert getattr(window, column).tolist() == getattr(alone, column).tolist()
