import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.text.segmentation import MAX_WINDOW_CHARACTERS, segment_note

MARK = "‖"


def marked(text: str) -> str:
    """The text with a mark wherever one window ends and the next begins."""
    windows = segment_note(text)
    borders = [(end, begin) for (_, end), (begin, _) in pairwise(windows)]
    for end, begin in reversed(borders):
        text = f"{text[:end]}{MARK}{text[begin:]}"
    return text


def check(expected: str, gaps: str) -> None:
    """`expected` holds the marks of its borders; `gaps` says what stands at them in the note."""
    assert MARK in expected, f"no mark in {expected!r}: this test would prove nothing"
    note = expected.replace(MARK, gaps)
    assert note != expected
    assert marked(note) == expected


@pytest.mark.parametrize(
    "expected",
    [
        "The patient is stable.‖She went home.",
        "Is she well?‖Yes!‖Good.",
        "Wait... what?‖Nothing.",
        'She said "stop."‖Then (he left.)‖Next day none.',
        "Cough.‖5 days of fever.",
        # abbreviations that bind
        "Dr. Smith saw him.‖St. Mary vs. none.",
        "See Fig. 2 and ref. 4, i.e. both.‖No. 5 was negative.",
        "Given e.g. aspirin, cf. above.‖Then none.",
        # abbreviations that end a sentence only before a capital letter
        "Aspirin 81 mg q.d. was given.‖Take p.o. daily.",
        "Iron p.o. b.i.d.‖She tolerated it.",
        "Woke at 8 a.m. with pain.‖Came at 5 p.m.‖He left.",
        "Seen by J. Smith, M.D. on call.‖Left.",
        # initials and genera
        "Urine grew E. coli.‖Blood grew S. aureus.",
        "Growth of group B.‖The patient left.",
        # numbers
        "Dose of .5 mg given.‖Then 2.5 mg.‖Then 1.25 q.d. again.",
        "Temp 98.6.‖BP 120/80.‖HR 80.",
        # MIMIC's blanks
        "Seen by [**First Name8 (NamePattern2) 12. B.**] today.‖Left.",
        "Went to ___.‖Then ___ was seen.‖[**Doctor Last Name**] came.",
        # lists inside a line
        "1. First item.‖Second sentence.‖2. Third item.",
        "\ufeffA mark before.‖All well.",
    ],
)
def test_sentences(expected):
    check(expected, " ")
    check(expected, "  ")


def test_a_stop_whose_space_was_forgotten():
    check("the end.‖The next one.‖Then more.", "")
    for text in ("penicillin.sulfa", "Hct-30.1*#MCV-88", "NaCl 0.9%.MVI", "a.The"):
        assert marked(text) == text


@pytest.mark.parametrize(
    "expected",
    [
        # list items
        "- aspirin‖- ibuprofen‖- 2 mg of it",
        "1. Aspirin‖2. Ibuprofen 3 mg‖10) Iron",
        "a) one‖b) two‖(3) three",
        "Plan:‖1.) go‖*bold‖• point‖# problem",
        # headings
        "HISTORY OF PRESENT ILLNESS:‖The patient came.",
        "Brief Hospital Course:‖# HTN: stable",
        "Discharge Diagnosis (primary):‖pneumonia‖Discharge Condition:‖good",
        "MEDICATIONS ON ADMISSION‖aspirin",
        # a heading ends the line before it, however long that is
        "He was seen and then went home with his wife and his three children‖Past History: none",
        # so do the other shapes of a line's beginning, and some of a line's end
        "He was seen and then went home with his wife and his three children‖08:30 back again",
        "He was seen and then went home with his wife and his three children‖- aspirin",
        "He was seen and then went home with his wife and his three children‖sodium\t140",
        "sodium in the blood of this man\t140‖potassium was not measured",
        "MEDICATIONS ON ADMISSION AND AT DISCHARGE‖aspirin daily",
        "At home he was taking all of the following:‖aspirin daily",
        # the head of a MIMIC-IV note
        "Name:  ___                     Unit No:   ___‖"
        "Admission Date:  ___              Discharge Date:   ___‖"
        "Date of Birth:  ___             Sex:   F‖"
        "Service: MEDICINE‖"
        "Allergies:",
        # lab tables
        "___ 06:20AM BLOOD WBC-7.2 RBC-3.9* Hgb-11.5*‖___ 06:20AM BLOOD Plt ___",
        "[**2178-3-4**] 06:20 came‖2178-03-04 08:00 went‖08:30 back",
        "Na\t140\tmmol/L‖K\t4.0\tmmol/L‖Cl\t100\tmmol/L",
        "WBC   7.2   ok‖HGB   11.0   low",
        # lines
        "one line‖Two lines‖three",
        "ends with a stop.‖Begins with a capital.",
    ],
)
@pytest.mark.parametrize(
    "newline",
    ["\n", "\r\n", "\r", "\n\n", "\r\n\r\n", " \n \n", "\x0c", "\v", "\u2028", "\u2029", "\x85"],
)
def test_lines(expected, newline):
    check(expected, newline)


@pytest.mark.parametrize(
    "expected",
    [
        "The patient is a man who came in with chest pain and shortness of\n"
        "breath since Monday.‖Then none.",
        "The patient is a woman who came in with chest pain and is known to\n"
        "Dr. Smith since the last year, when the same was seen in her and then\n"
        "treated.‖Then none.",
        "A long line that goes on in lower case\nand here it goes on.‖Then none.",
    ],
)
def test_lines_that_a_program_wrapped_are_one(expected):
    check(expected, "\n")
    check(expected.replace("\n", "\r\n"), "\r\n")
    check(expected, " ")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        "Seen by [**First Name8 (NamePattern2) 12.‖B.**] today.",
        "Sent to [**Hospital1‖18**] at noon, for [**Hospital1‖19**] was full.",
        "Came on [**2101-3-4**] to [**Known lastname‖- Jr.**] and left.",
        "He was seen by Dr.[**Last Name (STitle)‖**] and then went home with his wife",
    ],
)
def test_a_blank_on_two_lines_is_one(text, newline):
    assert marked(text.replace("‖", newline)) == text.replace("‖", newline)


@pytest.mark.parametrize(
    "expected",
    ["Seen at [**Hospital1", "[**Hospital1**]‖18**] came", "[**Hospital1‖]**]", "[**a‖[**b**]"],
)
def test_what_only_looks_like_a_blank_on_two_lines_is_two(expected):
    check(expected + "‖Left.", "\n")
    check("Seen at [**Hospital1‖18**] at noon.", "\n\n")


def test_an_empty_line_ends_what_a_wrapped_line_would_continue():
    line = "The patient is a man who came in with chest pain and shortness of"
    check(f"{line}‖breath.", "\n\n")
    check(f"{line}‖breath.", "\n \t \n")


def test_line_breaks_that_became_commas():
    note = ",HISTORY:, This man came.,MEDICATIONS:,1.  Aspirin.,2.  Iron daily.,PLAN: Go, rest."
    assert marked(note) == (
        ",‖HISTORY:,‖This man came.,‖MEDICATIONS:,‖1.  Aspirin.,‖2.  Iron daily.,‖PLAN: Go, rest."
    )


@pytest.mark.parametrize("text", ["no newline and no stop", "aspirin", "x", ".", "E. coli", "1."])
def test_one_window(text):
    assert segment_note(text) == [(0, len(text))]
    assert segment_note(f"\n  {text}\t\r\n") == [(3, 3 + len(text))]


@pytest.mark.parametrize("text", ["", " ", "\n", "\r\n \t\x0c\u2028\xa0", "\x1c\x1f"])
def test_no_window(text):
    assert segment_note(text) == []


def test_a_run_without_borders_is_cut_at_commas_then_spaces_then_anywhere():
    for unit in ("word, word word ", "word word ", "word"):
        text = unit * 1100
        windows = segment_note(text)
        assert len(windows) > 2
        assert all(end - begin <= MAX_WINDOW_CHARACTERS for begin, end in windows)
        cuts = [text[end - 1 : end + 1] for _, end in windows[:-1]]
        expected = {"word, word word ": ", ", "word word ": "d "}.get(unit)
        assert expected is None or set(cuts) == {expected}


CUES = [
    "The", "patient", "aspirin", "Dr", "q.d", "E", "2", "12", ".5", "HEADING", "Mixed Case", ".",
    ". ", "!", "? ", "...", '."', ",", ", ", ":", ":,", ";", "-", "- ", "•", "#", "(", ")", "[**",
    "**]", "___", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\x0c", "\u2028", "\x00",
    "😀", "e\u0301", "08:30", "a line of words that goes on and on until it is long enough to wrap",
]  # fmt: skip
NOTES = st.lists(st.sampled_from(CUES) | st.text(max_size=4), max_size=40).map("".join)


@given(NOTES)
def test_windows_are_disjoint_ordered_trimmed_and_cover_all_that_is_not_space(text):
    previous = 0
    for begin, end in segment_note(text):
        assert previous <= begin < end <= len(text)
        assert not text[begin].isspace()
        assert not text[end - 1].isspace()
        assert text[previous:begin].strip() == ""
        assert end - begin <= MAX_WINDOW_CHARACTERS
        previous = end
    assert text[previous:].strip() == ""


def texts_of(note: str) -> list[str]:
    return [note[begin:end] for begin, end in segment_note(note)]


@given(NOTES, NOTES, NOTES, st.sampled_from(["\n\n", "\r\n\r\n", "\n  \n"]))
def test_a_paragraph_has_the_same_windows_wherever_it_stands(before, paragraph, after, gap):
    note = before + gap + paragraph + gap + after
    assert texts_of(note) == texts_of(before) + texts_of(paragraph) + texts_of(after)


@given(NOTES)
def test_a_note_twice_gives_its_windows_twice(text):
    once = segment_note(text)
    shift = len(text) + 2
    assert segment_note(f"{text}\n\n{text}") == once + [(b + shift, e + shift) for b, e in once]
    assert segment_note(text) == once


# Seconds of processor time: measured 0.1 to 1.2; what takes n² time needs minutes.
ENOUGH = 5


def seconds(text: str) -> float:
    began = time.process_time()
    segment_note(text)
    return time.process_time() - began


NASTY = [
    "a",
    ". ",
    "[**",
    "[**a\n",
    ":,",
    "A, ",
    "- ",
    "a:,",
    "12. a ",
    ".",
    "e.g. ",
    "A",
    "a\n",
    "4, 4. a",
    "\t",
    '."',
]


@pytest.mark.parametrize("repeat", NASTY)
def test_time_is_linear_in_nasty_repeats(repeat):
    length = 300_000
    text = (repeat * (length // len(repeat) + 1))[:length]
    assert seconds(text) < ENOUGH


@pytest.mark.parametrize("run", [".", "?!", " ", "\t", " \t", "_", "-", "[**", ",", "("])
@pytest.mark.parametrize("form", ["{}b", "a{}\nb", "A{}b\nb"])
def test_time_is_linear_in_long_runs_inside_a_line(run, form):
    """Runs that end badly once were tried again from each of their characters."""
    text = form.format(run * (100_000 // len(run)))
    assert seconds(text) < ENOUGH


def gold_mentions(path: Path) -> Iterator[tuple[str, list[tuple[int, int, str]]]]:
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        title, abstract, *rows = block.strip("\n").split("\n")
        text = f"{title.split('|', 2)[2]} {abstract.split('|', 2)[2]}"
        cells = [row.split("\t") for row in rows]
        yield text, [(int(c[1]), int(c[2]), c[3]) for c in cells if len(c) > 5]


@pytest.mark.data
@pytest.mark.parametrize("part", ["Training", "Development"])
def test_no_gold_mention_crosses_a_window(shared_data, part):
    path = shared_data / "bc5cdr" / "pubtator" / f"CDR_{part}Set.PubTator.txt"
    crossing = []
    mentions = 0
    for text, gold in gold_mentions(path):
        windows = segment_note(text)
        for begin, end, words in gold:
            assert text[begin:end] == words
            mentions += 1
            if not any(b <= begin and end <= e for b, e in windows):
                crossing.append(words)
    assert mentions > 9000
    assert crossing == []
