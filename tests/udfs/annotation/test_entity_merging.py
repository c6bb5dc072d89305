import time

import pytest

from udfs.annotation.entity_merging import ScoredWindow, merge_mentions
from udfs.spans import Span


def window(begin: int, end: int, *spans: Span) -> ScoredWindow:
    return ScoredWindow(begin, end, spans, wordpieces=1, unread_characters=0)


def test_spans_are_projected_into_the_note():
    text = "No fever.  Took aspirin."
    windows = [window(0, 9, Span(3, 8, "Disease", 0.9)), window(11, 24, Span(5, 12, "Drug", 0.8))]
    mentions = merge_mentions(text, windows)
    assert mentions == [Span(3, 8, "Disease", 0.9), Span(16, 23, "Drug", 0.8)]
    assert [text[m.begin : m.end] for m in mentions] == ["fever", "aspirin"]


@pytest.mark.parametrize("text", ["___", "•", "-", "( )", "\u0301", "...", "😀"])
def test_a_mention_without_a_letter_or_digit_is_dropped(text):
    assert merge_mentions(text, [window(0, len(text), Span(0, len(text), "X"))]) == []


@pytest.mark.parametrize("text", ["a", "5", "__a__", "é", "中", "½"])
def test_a_mention_with_a_letter_or_digit_is_kept(text):
    assert len(merge_mentions(text, [window(0, len(text), Span(0, len(text), "X"))])) == 1


@pytest.mark.parametrize(
    ("marked", "kept"),
    [
        ("seen by [**<Name>**] today", False),
        ("seen by <[**Name**]> today", False),
        ("seen by [**a <Name> b**] and [**other**]", False),
        ("seen by [**Doctor\r\n<Name>**] today", False),
        ("seen by [**Doctor\n\n<Name>**] today", True),
        ("[**a**] <between> [**b**]", True),
        ("[**a**]<b>", True),
        ("seen <by [**Name**]> today", True),
        ("seen [**by <Name**] today>", True),
        ("not [*<closed>**]", True),
        ("not [**<closed>", True),
        ("<before> [**a**]", True),
    ],
)
def test_a_mention_inside_a_blank_is_dropped(marked, kept):
    begin = marked.index("<")
    end = marked.index(">") - 1
    text = marked.replace("<", "").replace(">", "")
    mentions = merge_mentions(text, [window(0, len(text), Span(begin, end, "X"))])
    assert [(m.begin, m.end) for m in mentions] == ([(begin, end)] if kept else [])


def test_mentions_come_in_order_and_equal_ones_once():
    text = "aspirin fever"
    spans = (Span(8, 13, "B"), Span(0, 7, "B"), Span(0, 7, "A"), Span(8, 13, "B"))
    windows = [window(0, 13, *spans)]
    expected = [(0, 7, "A"), (0, 7, "B"), (8, 13, "B")]
    assert [(m.begin, m.end, m.label) for m in merge_mentions(text, windows)] == expected
    apart = [window(8, 13, Span(0, 5, "B")), window(0, 7, Span(0, 7, "B"), Span(0, 7, "A"))]
    assert [(m.begin, m.end, m.label) for m in merge_mentions(text, apart)] == expected


@pytest.mark.parametrize(
    ("begin", "end", "span", "why"),
    [
        (0, 14, None, "window 0-14 does not fit a text of 13 characters"),
        (-1, 5, None, "window -1-5"),
        (5, 5, None, "window 5-5"),
        (5, 4, None, "window 5-4"),
        (0, 7, Span(0, 8, "X"), "span 0-8 does not fit its window of 7 characters"),
        (0, 7, Span(-1, 3, "X"), "span -1-3"),
        (0, 7, Span(3, 3, "X"), "span 3-3"),
    ],
)
def test_predictions_of_another_text_are_refused_without_quoting_it(begin, end, span, why):
    with pytest.raises(ValueError, match=why) as caught:
        merge_mentions("aspirin fever", [window(begin, end, *([span] if span else []))])
    assert "aspirin" not in str(caught.value)


def test_time_is_linear_in_blanks_and_mentions():
    """Both forms took n² time once: open blanks, and many blanks with many mentions."""
    opened = "[**" * 50_000
    closed = "[**x**] fever " * 15_000
    fevers = [window(i + 8, i + 13, Span(0, 5, "X")) for i in range(0, len(closed), 14)]
    began = time.process_time()
    assert merge_mentions(opened, [window(0, 9, Span(0, 9, "X"))]) == []
    assert len(merge_mentions(closed, fevers)) == 15_000
    assert time.process_time() - began < 5
