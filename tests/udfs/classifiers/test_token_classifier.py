import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertForTokenClassification

from udfs.classifiers import token_classifier
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.errors import InputError, ModelPackageError
from udfs.network import devices
from udfs.network.devices import resolve_device, resolve_precision
from udfs.network.tokenization import WindowTokenizer
from udfs.package.model_package import load_manifest
from udfs.spans import Span, WindowPrediction

BODY, OVERLAP = 14, 5  # those of the package: at most 16 word-pieces with [CLS] and [SEP]
PARTS = [
    "aspirin",
    "headache",
    "fever",
    "the",
    "and",
    "mg",
    "xyz",
    ",",
    "(",
    ")",
    "-",
    "[SEP]",
    "😀",
]
PARTS += ["fe\u0301ver", "e\u0301", "a" * 130, "12", "Q", "\x00", "\u093e"]


def load(folder: Path, tokens_per_batch: int = 4096) -> TokenClassifier:
    return TokenClassifier.load(folder, "cpu", "float32", 1, tokens_per_batch)


@pytest.fixture(scope="module")
def classifier(random_package: Path) -> TokenClassifier:
    return load(random_package)


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """Windows of all lengths, many longer than the model's maximum; some twice, some empty."""
    chosen = random.Random(5)
    texts = [" ".join(chosen.choices(PARTS, k=chosen.randint(0, 40))) for _ in range(40)]
    texts += ["", " ", "\n", "😀", "\u0301", *texts[:10]]
    chosen.shuffle(texts)
    return texts


@pytest.fixture(scope="module")
def reference(random_package: Path) -> Callable[[str], WindowPrediction]:
    """The written rules, one word after the other, on transformers' own model."""
    model = BertForTokenClassification.from_pretrained(random_package, dtype=torch.float32).eval()
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")
    labels = load_manifest(random_package).labels

    def probabilities(ids: list[int]) -> np.ndarray:
        framed = torch.tensor([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
        with torch.inference_mode():
            logits = model(input_ids=framed).logits[0, 1:-1]
        return torch.softmax(logits.double(), dim=-1).numpy()

    def all_probabilities(ids: list[int]) -> np.ndarray:
        pieces = [0]
        while pieces[-1] + BODY < len(ids):
            pieces.append(pieces[-1] + BODY - OVERLAP)
        scores = [probabilities(ids[begin : begin + BODY]) for begin in pieces]
        rows = []
        for j in range(len(ids)):
            holding = [k for k, begin in enumerate(pieces) if begin <= j < begin + BODY]

            def distance(k: int, j: int = j) -> tuple[int, int]:
                left = j - pieces[k] if k else len(ids)
                right = pieces[k] + BODY - 1 - j if k < len(pieces) - 1 else len(ids)
                return min(left, right), k

            best = max(holding, key=distance)  # the farthest from a cut, of two the later
            rows.append(scores[best][j - pieces[best]])
        return np.array(rows)

    def predict(text: str) -> WindowPrediction:
        [window] = tokenizer.encode([text])
        unread = sum(
            int(e - b)
            for b, e, i in zip(window.begins, window.ends, window.ids, strict=True)
            if i == tokenizer.unknown_id
        )
        if not len(window.ids):
            return WindowPrediction((), 0, 0)
        rows = all_probabilities(window.ids.tolist())[window.first_pieces]
        tags = [labels[k] for k in rows.argmax(axis=1)]
        found: list[tuple[str, list[int]]] = []
        for word, tag in enumerate(tags):
            if tag == "O":
                continue
            if tag[0] == "I" and word and tags[word - 1][2:] == tag[2:]:
                found[-1][1].append(word)
            else:
                found.append((tag[2:], [word]))
        spans = []
        for label, words in found:
            columns = [k for k, tag in enumerate(labels) if tag[2:] == label]
            score = float(np.mean([rows[word, columns].sum() for word in words]))
            begin, end = int(window.word_begins[words[0]]), int(window.word_ends[words[-1]])
            while text[end : end + 1] and text[end] in "\u0301":
                end += 1
            spans.append(Span(begin, end, label, score))
        return WindowPrediction(tuple(spans), len(window.ids), unread)

    return predict


def assert_equal(found: WindowPrediction, expected: WindowPrediction) -> None:
    assert [(s.begin, s.end, s.label) for s in found.spans] == [
        (s.begin, s.end, s.label) for s in expected.spans
    ]
    scores = [s.score for s in expected.spans]
    assert [s.score for s in found.spans] == pytest.approx(scores, abs=1e-4)
    assert found.wordpieces == expected.wordpieces
    assert found.unread_characters == expected.unread_characters


def test_predictions_are_those_of_the_written_rules(classifier, reference, corpus):
    predictions = classifier.predict(corpus)
    for text, found in zip(corpus, predictions, strict=True):
        assert_equal(found, reference(text))
    spans = [span for p in predictions for span in p.spans]
    # Without such variety the comparison would prove little.
    assert {span.label for span in spans} == {"Chemical", "Disease"}
    assert len(spans) > 60
    assert any(
        " " in t[s.begin : s.end] for t, p in zip(corpus, predictions, strict=True) for s in p.spans
    )
    assert sum(p.wordpieces > 3 * BODY for p in predictions) > 10
    assert all(0 <= span.score <= 1 for span in spans)


@pytest.mark.parametrize("tokens_per_batch", [1, 16, 50, 333, 100_000])
def test_the_batch_budget_changes_nothing(random_package, classifier, corpus, tokens_per_batch):
    other = load(random_package, tokens_per_batch).predict(corpus)
    for found, expected in zip(other, classifier.predict(corpus), strict=True):
        assert_equal(found, expected)


def test_order_company_and_duplicates_change_nothing(classifier, corpus):
    expected = dict(zip(corpus, classifier.predict(corpus), strict=True))
    shuffled = random.Random(1).sample(corpus, len(corpus))
    for order in (shuffled, corpus[::-1], corpus[:7] * 3, sorted(corpus, key=len)):
        for text, found in zip(order, classifier.predict(order), strict=True):
            assert_equal(found, expected[text])
    for text in corpus[::5]:
        assert_equal(classifier.predict([text])[0], expected[text])


def test_no_batch_is_larger_than_its_budget(random_package, corpus, monkeypatch):
    small = load(random_package, 48)
    sizes = []
    run = small._encoder.logits

    def spy(ids: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
        assert len(ids) == lengths.sum()
        sizes.append((len(ids), lengths.max()))
        return run(ids, lengths, wanted)

    monkeypatch.setattr(small._encoder, "logits", spy)
    small.predict(corpus)
    assert max(positions for positions, _ in sizes) <= 48
    assert max(length for _, length in sizes) <= 16


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_for_which_memory_is_short_is_halved_and_so_are_later_ones(
    random_package, classifier, corpus, monkeypatch, error
):
    short, sizes = load(random_package), []
    run = short._encoder.logits

    def spy(ids: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
        sizes.append(len(ids))
        if len(ids) > 100:
            raise error
        return run(ids, lengths, wanted)

    monkeypatch.setattr(short._encoder, "logits", spy)
    for found, expected in zip(short.predict(corpus), classifier.predict(corpus), strict=True):
        assert_equal(found, expected)
    assert max(sizes) > 100
    sizes.clear()
    short.predict(corpus)
    assert max(sizes) <= 100


def test_memory_goes_back_after_every_fourth_batch(random_package, corpus, monkeypatch):
    told = []
    monkeypatch.setattr(token_classifier, "give_back_free_memory", lambda: told.append(len(sizes)))
    classifier = load(random_package, 16)
    sizes = []
    logits = classifier._encoder.logits

    def counted(ids, *more):
        sizes.append(len(ids))
        return logits(ids, *more)

    monkeypatch.setattr(classifier._encoder, "logits", counted)
    classifier.predict(corpus[:9])
    first = len(sizes)
    classifier.predict(corpus[9:])  # the count goes on, so that small calls give back, too
    assert first % 4 and len(sizes) > 12
    assert told == list(range(4, len(sizes) + 1, 4))


def test_a_gpu_leaves_no_holes_to_give_back(random_package, corpus, monkeypatch):
    class OnGpu:
        device = torch.device("cuda")
        batches = 0

        def logits(self, ids, lengths, wanted):
            self.batches += 1
            return torch.zeros(len(wanted), len(classifier.manifest.labels))

    def refuse():
        raise AssertionError("activations are not in the heap there")

    monkeypatch.setattr(token_classifier, "give_back_free_memory", refuse)
    classifier = load(random_package, 16)
    classifier._encoder = OnGpu()
    classifier.predict(corpus)
    assert classifier._encoder.batches > 4


def test_a_piece_alone_for_which_memory_is_short_is_an_error(random_package, corpus, monkeypatch):
    short = load(random_package)

    def refuse(*arguments: np.ndarray) -> torch.Tensor:
        raise MemoryError

    monkeypatch.setattr(short._encoder, "logits", refuse)
    with pytest.raises(MemoryError):
        short.predict(corpus)


def test_another_error_is_not_taken_for_want_of_memory(random_package, corpus, monkeypatch):
    broken, tries = load(random_package), []

    def fail(ids: np.ndarray, *arguments: np.ndarray) -> torch.Tensor:
        tries.append(len(ids))
        raise RuntimeError("sizes do not fit")

    monkeypatch.setattr(broken._encoder, "logits", fail)
    with pytest.raises(RuntimeError, match="sizes do not fit"):
        broken.predict(corpus)
    assert len(tries) == 1


def test_nothing_to_read(classifier):
    assert classifier.predict([]) == []
    empty = WindowPrediction((), 0, 0)
    assert classifier.predict(["", " \n", "\x00"]) == [empty] * 3
    assert classifier.predict(["", "fever", ""])[::2] == [empty] * 2


@pytest.mark.parametrize("pieces", [BODY - 1, BODY, BODY + 1, 2 * BODY, 1000])
def test_every_word_of_a_long_window_is_read(classifier, reference, pieces):
    text = " ".join(PARTS[i % 5] for i in range(pieces))
    [found] = classifier.predict([text])
    assert found.wordpieces >= pieces
    assert_equal(found, reference(text))
    if pieces == 1000:
        assert max(span.end for span in found.spans) > 0.95 * len(text)


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("fever", 0),
        ("fever ∑∏ mg", 2),
        ("😀", 1),
        ("∑" * 130, 130),
        ("fe∑ver", 6),
        ("fever \x00", 0),
    ],
)
def test_characters_that_the_vocabulary_cannot_spell_are_counted(classifier, text, unread):
    assert classifier.predict([text])[0].unread_characters == unread


class Always:
    """An encoder that gives every word-piece the same logits: only the decoding is tested."""

    device = torch.device("cpu")

    def __init__(self, *logits: float) -> None:
        self._row = torch.tensor(logits)

    def logits(self, ids: np.ndarray, lengths: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
        return self._row.expand(len(wanted), len(self._row))


def tagged(folder: Path, text: str, *logits: float) -> list[Span]:
    tokenizer = WindowTokenizer.from_file(folder / "tokenizer.json")
    always = TokenClassifier(load_manifest(folder), tokenizer, Always(*logits), 4096)
    return list(always.predict([text])[0].spans)


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("caf\u0301e\u0301 mg", ["caf\u0301e\u0301", "mg"]),
        ("e\u0301\u0302\u0303", ["e\u0301\u0302\u0303"]),
        ("\u0301e", ["e"]),
        ("mg \u0301 mg", ["mg", "mg"]),
        ("mg\ufe0f", ["mg\ufe0f"]),
        (",\u093ea", [",", "\u093ea"]),
        ("mg\u093e", ["mg\u093e"]),
        ("a" * 100 + "\u0301" + "a", ["a" * 100 + "\u0301", "a"]),
        (",\u0301a", [",\u0301", "a"]),
        ("a\u20dd", ["a\u20dd"]),
    ],
)
def test_a_mention_takes_the_combining_marks_after_it(random_package, text, mentions):
    spans = tagged(random_package, text, 0, 9, 0, 0, 0)  # B-Chemical everywhere
    assert [text[s.begin : s.end] for s in spans] == mentions


def test_the_score_is_the_mean_of_begin_and_inside(random_package):
    row = np.array([0.5, 1.0, 3.0, 0.0, -1.0])  # O, B- and I-Chemical, B- and I-Disease
    chances = np.exp(row) / np.exp(row).sum()
    [span] = tagged(random_package, "aspirin and fever", *row)
    assert (span.begin, span.end, span.label) == (0, 17, "Chemical")
    assert span.score == pytest.approx(chances[1] + chances[2], abs=1e-6)
    assert 0 < span.score < 1
    [sure] = tagged(random_package, "fever", -1e4, 1e4, 0, 0, 0)
    assert sure.score == 1.0


@given(
    text=st.lists(
        st.sampled_from(PARTS) | st.sampled_from([" ", ""]) | st.text(max_size=3), max_size=30
    )
)
def test_spans_are_ordered_disjoint_and_inside_the_window(random_package, text):
    text = "".join(text)
    previous = 0
    for span in tagged(random_package, text, 0, 9, 0, 0, 0):
        assert previous <= span.begin < span.end <= len(text)
        assert not text[span.begin].isspace()
        previous = span.end


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, random_package):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == resolve_device("cpu").type == "cpu"
    for name in ("cuda", "cuda:0", "cuda:3", "mps"):
        with pytest.raises(InputError, match=f"'{name}', but this worker sees 0 CUDA devices"):
            resolve_device(name)
    with pytest.raises(InputError, match="use device cpu or auto"):
        TokenClassifier.load(random_package, device="cuda")


def test_a_gpu_that_is_there_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda:0")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="sees 2 CUDA devices"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cuda:-1"])
def test_a_name_that_is_no_device_is_refused(name):
    with pytest.raises(InputError, match="must be auto, cpu, cuda or cuda:<index>"):
        resolve_device(name)


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2", "amx_bf16"}, torch.bfloat16),
        ({"avx512_bf16"}, torch.bfloat16),
        ({"avx512f", "avx2"}, torch.float32),
        (set(), torch.float32),
    ],
)
def test_the_precision_follows_the_processor(monkeypatch, flags, dtype):
    cpu = torch.device("cpu")
    monkeypatch.setattr(devices, "_cpu_flags", lambda: frozenset(flags))
    assert resolve_precision("auto", cpu) == dtype
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16


@pytest.mark.parametrize(("fast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_the_precision_follows_the_gpu(monkeypatch, fast, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: fast)
    assert resolve_precision("auto", torch.device("cuda:0")) == dtype


def test_a_package_whose_parts_do_not_fit_is_refused(package, edit_config, edit_manifest):
    edit_config(package, vocab_size=20)
    with pytest.raises(ModelPackageError, match=r"tokenizer gives ids up to \d+, the model has 20"):
        load(package)
    edit_manifest(package, max_wordpieces=41)
    edit_config(package, vocab_size=200)
    with pytest.raises(ModelPackageError, match="max_wordpieces 41 is more than the model's 40"):
        load(package)


def test_a_damaged_package_is_refused_before_anything_is_read(package):
    (package / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelPackageError, match="sha256 differs"):
        load(package)


def test_labels_in_another_order_move_columns_not_words(random_package):
    manifest = load_manifest(random_package)
    labels = ("I-Disease", "B-Chemical", "O", "I-Chemical", "B-Disease")
    tokenizer = WindowTokenizer.from_file(random_package / "tokenizer.json")
    swapped = TokenClassifier(
        replace(manifest, labels=labels), tokenizer, Always(9, 0, 0, 0, 0), 99
    )
    [span] = swapped.predict(["aspirin fever"])[0].spans
    assert (span.begin, span.end, span.label) == (0, 13, "Disease")
