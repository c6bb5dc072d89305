"""The peers' pipelines: exact places, and the tuned one's answers in the order of its texts."""

import pytest

from udfs.benchmark.hugging_face import plain_finder, tuned_finder

TEXTS = ["no fever and aspirin 100 mg", "", "aspirin", "the headache, no fever: aspirin " * 3]


@pytest.fixture(scope="module")
def plain(random_package):
    return plain_finder(str(random_package), 1)


def test_mentions_have_exact_places(plain):
    for text, mentions in zip(TEXTS[:3], plain(TEXTS[:3]), strict=True):
        for mention in mentions:
            assert 0 <= mention["begin"] < mention["end"] <= len(text)
            assert 0 <= mention["score"] <= 1


def test_sorting_and_batches_change_nothing(random_package):
    tuned = tuned_finder(str(random_package), 1, 2)
    keys = [[(m["begin"], m["end"], m["label"]) for m in found] for found in tuned(TEXTS * 3)]
    alone = [[(m["begin"], m["end"], m["label"]) for m in tuned([text])[0]] for text in TEXTS]
    assert keys == alone * 3
    assert any(keys)


def test_the_tuned_one_gives_whole_words(random_package):
    for text, mentions in zip(TEXTS, tuned_finder(str(random_package), 1, 2)(TEXTS), strict=True):
        for begin, end in ((m["begin"], m["end"]) for m in mentions):
            assert not text[begin - 1 : begin].isalnum() or not text[begin].isalnum()
            assert not text[end : end + 1].isalnum() or not text[end - 1].isalnum()
