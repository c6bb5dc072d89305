import re
from html import unescape

import pytest

from training.corpora.form_table import Document
from training.evaluation.confusions import (
    MISSED,
    NOTHING,
    RIGHT,
    SPURIOUS,
    WRONG_BORDER,
    WRONG_BOTH,
    WRONG_LABEL,
    confusion_counts,
    pair_mentions,
)
from training.evaluation.error_page import EXAMPLES, render_error_page, write_error_page
from udfs.spans import Span

GOLD = [
    Span(0, 5, "A"),
    Span(10, 15, "A"),
    Span(20, 25, "A"),
    Span(30, 35, "A"),
    Span(40, 45, "B"),
]
FOUND = [
    Span(0, 5, "A", 0.9),
    Span(10, 15, "B", 0.8),
    Span(20, 26, "A", 0.7),
    Span(31, 35, "B", 0.6),
    Span(50, 55, "A", 0.5),
]
TEXT = "x" * 60


def test_each_mention_is_counted_once():
    pairs = pair_mentions([Document("1", TEXT, tuple(GOLD))], [FOUND])
    assert [pair.kind for pair in pairs] == [
        RIGHT,
        WRONG_LABEL,
        WRONG_BORDER,
        WRONG_BOTH,
        MISSED,
        SPURIOUS,
    ]
    assert confusion_counts(pairs) == {
        ("A", "A"): 2,
        ("A", "B"): 2,
        ("B", NOTHING): 1,
        (NOTHING, "A"): 1,
    }


def test_a_better_partner_is_not_used_up():
    """The first prediction overlaps the second one's gold mention."""
    gold = [Span(5, 10, "A")]
    pairs = pair_mentions([Document("1", TEXT, tuple(gold))], [[Span(0, 7, "A"), Span(5, 10, "A")]])
    assert sorted(pair.kind for pair in pairs) == [RIGHT, SPURIOUS]


def test_the_page_shows_text_escaped_and_says_so():
    text = 'No <script>alert("1")</script> & fever\x00 today, aspirin.'
    document = Document("<id>", text, (Span(text.index("fever"), text.index("fever") + 5, "D&D"),))
    page = render_error_page("<model>", [document], [[Span(3, 11, "C", 0.25)]])
    assert "<script" not in page
    assert "This page holds text of the documents" in page
    assert page.index('class="warning"') < page.index("script")
    assert "default-src 'none'" in page
    assert '<span class="gold">fever</span>' in page
    assert '<span class="found">&lt;script&gt;</span>' in page
    assert "D&amp;D → (none)" in page
    assert "(none) → C (0.25)" in page
    cell = re.search(r"<td>([^<]*<span class=\"gold\">fever</span>[^<]*)</td>", page)
    assert unescape(re.sub(r"</?span[^>]*>", "", cell[1])) == text


def test_examples_come_from_all_over_the_corpus():
    documents = [Document(f"doc{i}", "fever", (Span(0, 5, "A"),)) for i in range(200)]
    page = render_error_page("m", documents, [[] for _ in documents])
    assert page.count('class="example"') == EXAMPLES
    assert "Missed: 200, 25 of them shown" in page
    assert "doc0 0" in page
    assert "doc192 0" in page


def test_only_its_owner_reads_the_page(tmp_path):
    path = tmp_path / "new" / "errors.html"
    for title in ("first", "second"):
        write_error_page(path, title, [Document("1", "fever", ())], [[]])
    assert path.stat().st_mode & 0o777 == 0o600
    assert "second" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["errors.html"]


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "errors.html").mkdir()
    with pytest.raises(OSError):
        write_error_page(tmp_path / "errors.html", "m", [], [])
    assert [p.name for p in tmp_path.iterdir()] == ["errors.html"]
