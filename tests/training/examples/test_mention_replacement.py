"""Replaced mentions: everything round them stays, and the new names are tagged as mentions."""

import gzip
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpora.form_table import Document
from training.corpora.term_lists import read_terms
from training.examples.examples import NO_LABEL, encode_documents
from training.examples.mention_replacement import MentionLexicon
from training.recipes.recipe import Recipe
from udfs.decoding.label_scheme import bio_labels
from udfs.errors import InputError
from udfs.network.tokenization import WindowTokenizer
from udfs.spans import Span

TAGS = bio_labels(["Chemical", "Disease"])
RECIPE = Recipe(max_wordpieces=32, overlap=8)
ALL_PIECES = replace(RECIPE, label_all_pieces=True)
TERMS = {"Disease": ["severe headache", "study"]}


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return WindowTokenizer.from_file(tiny_bert / "tokenizer.json")


def encode(tokenizer, text, mentions, recipe=RECIPE):
    spans = [
        Span(text.index(name), text.index(name) + len(name), label) for name, label in mentions
    ]
    (group,) = encode_documents(
        [Document("1", text, tuple(spans))],
        tokenizer,
        TAGS,
        max_wordpieces=recipe.max_wordpieces,
        overlap=recipe.overlap,
        label_all_pieces=recipe.label_all_pieces,
    )
    return group


def spelt(tokenizer, text):
    (window,) = tokenizer.encode([text])
    return window.ids.tolist()


def names(example):
    return ["-" if tag == NO_LABEL else TAGS[tag] for tag in example.tags]


@pytest.mark.parametrize(
    ("recipe", "tags"),
    [
        (RECIPE, ["B-Disease", "I-Disease", "-", "-", "O", "O"]),
        (ALL_PIECES, ["B-Disease", "I-Disease", "I-Disease", "I-Disease", "O", "O"]),
    ],
)
def test_a_mention_becomes_a_term_of_its_label(tokenizer, recipe, tags):
    (example,) = encode(tokenizer, "fever and aspirin", [("fever", "Disease")], recipe)
    lexicon = MentionLexicon.of([], {"Disease": ["severe bad"]}, tokenizer, TAGS, recipe)
    changed = lexicon.replaced(example, 1.0, random.Random(1))
    assert changed.ids.tolist() == spelt(tokenizer, "severe bad and aspirin")
    assert names(changed) == tags


def test_mentions_of_the_corpus_are_names_too_and_each_once(tokenizer):
    group = encode(tokenizer, "severe fever and fever.\n\nfever", [("severe fever", "Disease")])
    lexicon = MentionLexicon.of([*group, *group], {}, tokenizer, TAGS, RECIPE)
    assert lexicon.names["Chemical"] == []
    ((name,),) = lexicon.names["Disease"]
    assert name.ids.tolist() == spelt(tokenizer, "severe fever")
    assert names(name) == ["B-Disease", "I-Disease"]


def test_mentions_and_terms_are_taken_equally_often(tokenizer):
    (example,) = encode(tokenizer, "fever and aspirin", [("fever", "Disease")])
    lexicon = MentionLexicon.of([example], TERMS, tokenizer, TAGS, RECIPE)
    rng = random.Random(1)
    taken = [lexicon.replaced(example, 1.0, rng).ids.tolist() for _ in range(2000)]
    same = sum(ids == example.ids.tolist() for ids in taken)
    assert 900 < same < 1100
    rare = sum(ids == spelt(tokenizer, "study and aspirin") for ids in taken)
    assert 400 < rare < 600


def test_what_grows_too_long_stays_as_it_is(tokenizer):
    (example,) = encode(tokenizer, "fever " + "and " * 28, [("fever", "Disease")])
    lexicon = MentionLexicon.of([], {"Disease": ["severe fever"]}, tokenizer, TAGS, RECIPE)
    assert len(example.ids) == 29
    assert len(lexicon.replaced(example, 1.0, random.Random(1)).ids) == 30
    (example,) = encode(tokenizer, "fever " + "and " * 29, [("fever", "Disease")])
    assert lexicon.replaced(example, 1.0, random.Random(1)) is example


def test_a_mention_at_the_cut_of_a_window_is_passed_over(tokenizer):
    text = "and " * 25 + "fever " + "and " * 27
    group = encode(tokenizer, text, [("fever", "Disease")])
    first = group[0]
    # The first piece decides up to the mention; what follows are other words, without a tag.
    assert names(first)[25:] == ["B-Disease", "-", "-", "-", "-"]
    assert MentionLexicon.of(group, {}, tokenizer, TAGS, RECIPE).names["Disease"] == []
    lexicon = MentionLexicon.of([], TERMS, tokenizer, TAGS, RECIPE)
    for example in group:
        assert lexicon.replaced(example, 1.0, random.Random(1)) is example


def test_teachers_say_nothing_of_a_new_name(tokenizer):
    (example,) = encode(tokenizer, "fever and aspirin", [("fever", "Disease")])
    taught = replace(example, targets=np.full((3, len(TAGS)), 0.2, dtype=np.float32))
    lexicon = MentionLexicon.of([], {"Disease": ["severe headache"]}, tokenizer, TAGS, RECIPE)
    changed = lexicon.replaced(taught, 1.0, random.Random(1))
    assert changed.targets is not None
    assert changed.targets.any(axis=1).tolist() == [False, False, True, True]


@given(
    chosen=st.lists(st.sampled_from(["fever", "aspirin", "and", "the"]), max_size=12),
    seed=st.integers(),
)
def test_nothing_but_mentions_changes(tokenizer, chosen, seed):
    label_of = {"fever": "Disease", "aspirin": "Chemical"}
    text = " ".join(chosen)
    begins = np.cumsum([0, *(len(word) + 1 for word in chosen)]).tolist()
    spans = tuple(
        Span(begin, begin + len(word), label_of[word])
        for begin, word in zip(begins, chosen, strict=False)
        if word in label_of
    )
    (group,) = encode_documents(
        [Document("1", text, spans)], tokenizer, TAGS, max_wordpieces=64, overlap=8
    )
    terms = {"Disease": ["severe headache"], "Chemical": ["ibuprofen"]}
    lexicon = MentionLexicon.of([], terms, tokenizer, TAGS, Recipe())
    new = {"fever": "severe headache", "aspirin": "ibuprofen"}
    for example in group:
        changed = lexicon.replaced(example, 1.0, random.Random(seed))
        assert changed.ids.tolist() == spelt(
            tokenizer, " ".join(new.get(word, word) for word in chosen)
        )
        assert lexicon.replaced(example, 0.0, random.Random(seed)) is example


def test_lists_of_terms(tmp_path):
    (tmp_path / "a.txt").write_text("Aspirin\n\n  naloxone \nAspirin\n", encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("fièvre\n")
    options = [f"Chemical={tmp_path}/a.txt", f"Disease={tmp_path}/b.txt.gz"]
    assert read_terms([*options, options[0]]) == {
        "Chemical": ["Aspirin", "naloxone"],
        "Disease": ["fièvre"],
    }
    for option, rule in (
        ("a.txt", "must be LABEL=FILE"),
        (f"Chemical={tmp_path}/absent.txt", "must be a .txt or .jsonl file"),
    ):
        with pytest.raises(InputError, match=rule):
            read_terms([option])
