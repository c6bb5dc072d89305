import pytest

from training.corpora.corpus_mix import CorpusMix, map_labels, parse_label_maps
from training.corpora.documents import labels_of, make_document
from training.corpora.form_table import write_corpus
from udfs.errors import InputError
from udfs.spans import Mention, Relation, Span


def document(name, *labels):
    text = "aa bb cc dd"
    mentions = [Mention(3 * i, 3 * i + 2, label) for i, label in enumerate(labels)]
    relations = [Relation("r", 0, 1)] if len(labels) > 1 else []
    return make_document(name, text, mentions, relations)


@pytest.fixture
def two(tmp_path):
    """One corpus annotates Drug and Reason, the other Disease alone, in the same words."""
    for part in ("train", "devel"):
        labels = ("Drug", "Reason") if part == "train" else ("Drug",)
        write_corpus(f"brat:{tmp_path / 'one' / part}", [document("1", *labels)])
        write_corpus(f"brat:{tmp_path / 'two' / part}", [document("2", "Disease")])
    return f"brat:{tmp_path / 'one'}", f"brat:{tmp_path / 'two'}"


def test_several_corpora_give_the_labels_of_all_and_say_what_each_annotates(two):
    mix = CorpusMix(two, {})
    data = mix.read(["train"])
    assert data.entity_labels == ["Disease", "Drug", "Reason"]
    assert data.annotated == [{"Drug", "Reason"}, {"Disease"}]
    assert mix.forms == "brat+brat"
    devel = mix.read(["devel"], data)
    assert devel.annotated == data.annotated  # no Reason in the part, and yet it is annotated
    found = [[Span(0, 2, "Drug"), Span(3, 5, "Reason"), Span(6, 8, "Disease")]] * 2
    assert [[span.label for span in spans] for spans in devel.told_apart(found)] == [
        ["Drug", "Reason"],
        ["Disease"],
    ]


def test_label_maps_rename_merge_and_drop(two):
    one, other = two
    maps = {one: {"Drug": "Chemical", "Reason": "Disease"}, other: {"Disease": None}}
    data = CorpusMix(two, maps).read(["train"])
    assert data.annotated == [{"Chemical", "Disease"}, set()]
    assert [labels_of([d]) for d in data.documents] == [["Chemical", "Disease"], []]
    assert data.digest != CorpusMix(two, {}).read(["train"]).digest
    # A map by form is that of all corpora of the form that have none of their own.
    by_form = CorpusMix(two, {"brat": {"Drug": "X", "Reason": "X", "Disease": "Y"}}).read(["train"])
    assert by_form.entity_labels == ["X", "Y"]


def test_relations_of_dropped_mentions_go_with_them():
    [mapped] = map_labels([document("1", "A", "B")], {"A": "A", "B": None}, "brat")
    assert [span.label for span in mapped.spans] == ["A"]
    assert mapped.relations == ()


def test_wrong_maps_are_refused(two):
    with pytest.raises(InputError, match="does not name Disease, Reason; say for each"):
        map_labels(
            [document("1", "Drug", "Reason"), document("2", "Disease")], {"Drug": "X"}, "brat"
        )
    with pytest.raises(InputError, match="is for n2c2, but the corpora are brat, brat"):
        CorpusMix(two, {"n2c2": {}})
    with pytest.raises(InputError, match="named twice"):
        CorpusMix((two[0], two[0]), {})
    for value, rule in (
        ([], "must name corpora"),
        ({"brat": "Drug"}, "must name corpora"),
        ({"brat": {"Drug": 3}}, "'Drug' must become a label, or null"),
        ({"brat": {"Drug": ""}}, "'Drug' must become a label, or null"),
    ):
        with pytest.raises(InputError, match=rule):
            parse_label_maps(value)
    assert parse_label_maps({"brat": {"Drug": "X", "Y": None}}) == {
        "brat": {"Drug": "X", "Y": None}
    }
