"""A rendered note keeps every character, marks every mention once, and lets no text become HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from jobs.display.note_html import render_comparison, render_note
from udfs.errors import InputError
from udfs.spans import Span


class Page(HTMLParser):
    """What a reader sees: the text (names left out), and text, name and attributes of each mark."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.marks: list[SimpleNamespace] = []
        self.tags: set[str] = set()
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "br":
            self.text += "\n"
            return
        self._inside.append(tag)
        if tag == "mark":
            self.marks.append(SimpleNamespace(text="", name="", **dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._inside[-1] == "style":
            return
        if self._inside[-1] == "span":
            self.marks[-1].name += data
            return
        self.text += data
        if self._inside[-1] == "mark":
            self.marks[-1].text += data


def seen(page: Page) -> list[tuple[str, str]]:
    return [(mark.text, mark.name) for mark in page.marks]


NOTE = "Naïve to opioids 😀: aspirin & <b>ibuprofen</b>.\n  K\t4.1\nNo fever."


def span(words: str, label: str, score: float = 1.0, text: str = NOTE) -> Span:
    begin = text.index(words)
    return Span(begin, begin + len(words), label, score)


def test_marks_stand_where_the_mentions_are_and_the_text_is_whole() -> None:
    mentions = [span("fever", "Disease", 0.934), span("aspirin", "Chemical"), span("opioids", "X")]
    page = Page(render_note(NOTE, mentions))
    assert page.text == NOTE
    assert seen(page) == [("opioids", "X"), ("aspirin", "Chemical"), ("fever", "Disease")]
    begin = NOTE.index("fever")
    assert page.marks[2].title == f"Disease {begin}-{begin + 5}, score 0.93"


def test_rows_are_named_by_entity_type_and_a_type_has_one_colour() -> None:
    row = SimpleNamespace(begin=0, end=5, label="Drug_name", entity_type="drug", score=0.5)
    by_type = Page(render_note(NOTE, [row])).marks[0]
    by_label = Page(render_note(NOTE, [Span(0, 5, "Chemical")])).marks[0]
    disease = Page(render_note(NOTE, [Span(0, 5, "Disease")])).marks[0]
    assert (by_type.name, by_label.name) == ("drug", "Chemical")
    assert by_type.style == by_label.style != disease.style


def test_text_and_labels_become_no_html() -> None:
    text = '<script>alert("x")</script> {bg} {text} &amp; <br>'
    hostile = '"><img src=x onerror=alert(1)>'
    page = Page(render_note(text, [Span(0, 8, hostile), span("{text}", "A&B", text=text)]))
    assert page.text == text
    assert seen(page) == [("<script>", hostile), ("{text}", "A&B")]
    assert page.tags == {"div", "style", "mark", "span"}


def test_line_breaks_of_every_kind_show_once_and_move_no_mark() -> None:
    text = "a\r\nb\rc\nsevere\r\nheadache"
    page = Page(render_note(text, [span("severe\r\nheadache", "Disease", text=text)]))
    assert page.text == "a \nb\nc\nsevere \nheadache"
    assert seen(page) == [("severe \nheadache", "Disease")]


def test_mentions_that_overlap_share_one_mark() -> None:
    text = "aspirin induced gastric ulcer today, ulcer; fever"
    chain = [
        span("aspirin induced gastric", "Cause", text=text),
        span("aspirin", "Chemical", text=text),
        span("gastric ulcer", "Disease", text=text),
        span("ulcer", "Disease", text=text),
    ]
    page = Page(render_note(text, [*chain, span("fever", "Disease", text=text)]))
    assert page.text == text
    assert seen(page) == [
        ("aspirin induced gastric ulcer", "Cause + Chemical + Disease"),
        ("fever", "Disease"),
    ]
    assert page.marks[0].title.count(";") == 3


def test_mentions_that_touch_are_two_marks() -> None:
    page = Page(render_note("abcd", [Span(2, 4, "B"), Span(0, 2, "A")]))
    assert seen(page) == [("ab", "A"), ("cd", "B")]


def test_a_comparison_names_what_is_right_missed_and_extra() -> None:
    text = "severe headache after aspirin, no fever"
    gold = [span(words, "Disease", text=text) for words in ("severe headache", "fever")]
    found = [
        span("headache", "Disease", text=text),
        span("aspirin", "Chemical", text=text),
        span("fever", "Disease", 0.75, text=text),
    ]
    page = Page(render_comparison(text, gold, found))
    assert page.text == text
    assert seen(page) == [
        ("severe headache", "missed Disease + extra Disease"),
        ("aspirin", "extra Chemical"),
        ("fever", "Disease"),
    ]
    assert page.marks[2].title.endswith("score 0.75")
    assert len({mark.style for mark in page.marks}) == 3


@pytest.mark.parametrize("mention", [Span(3, 9, "X"), Span(-1, 2, "X"), Span(2, 2, "X")])
def test_a_mention_outside_the_text_is_refused_without_quoting_it(mention: Span) -> None:
    with pytest.raises(InputError, match=f"{mention.begin}-{mention.end}.* has 6 characters") as e:
        render_note("canary", [mention])
    assert "canary" not in str(e.value)


def test_a_note_without_mentions_is_shown_plain() -> None:
    page = Page(render_note(NOTE, []))
    assert (page.text, page.marks) == (NOTE, [])
