"""The peers' pipelines: the tuned one answers as the plain one, in the order of its texts."""

import pytest

from udfs.peers import plain_finder, tuned_finder

TEXTS = ["no fever and aspirin 100 mg", "", "aspirin", "the headache, no fever: aspirin " * 9]


@pytest.fixture(scope="module")
def plain(random_package):
    return plain_finder(str(random_package), 1)


def test_mentions_have_exact_places(plain):
    for text, mentions in zip(TEXTS[:3], plain(TEXTS[:3]), strict=True):
        for mention in mentions:
            assert 0 <= mention["begin"] < mention["end"] <= len(text)
            assert 0 <= mention["score"] <= 1


def test_sorting_changes_nothing(plain, random_package):
    """Texts of one piece: of longer ones, the two may join overlapping pieces differently."""
    texts = TEXTS[:3] * 3
    tuned = tuned_finder(str(random_package), 1, 2)(texts)
    keys = [[(m["begin"], m["end"], m["label"]) for m in found] for found in tuned]
    assert keys == [[(m["begin"], m["end"], m["label"]) for m in found] for found in plain(texts)]
    assert any(keys)
