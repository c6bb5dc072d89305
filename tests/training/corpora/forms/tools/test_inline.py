import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.annotated_documents import (
    TEXTS,
    documents,
)
from training.corpora.documents import Document, make_document
from training.corpora.forms.tools.inline import read_inline
from udfs.errors import InputError
from udfs.spans import Mention


def test_inline_marks_leave_all_other_brackets(write, tmp_path):
    write(
        "in/b.txt",
        "[see scan] [**2150-1-9**] [x:y] [X: y] 1:2\r\n[drug: Aspi\nrin][sign: ]\U0001f637",
    )
    write("in/sub/a.txt", "[symptom: \U0001f637] ]")
    write("in/other.jsonl", "{}")
    documents = read_inline(tmp_path / "in", Counter())
    before = "[see scan] [**2150-1-9**] [x:y] [X: y] 1:2\r\n"
    begin = len(before)
    spans = (Mention(begin, begin + 8, "drug"), Mention(begin + 8, begin + 8, "sign"))
    assert documents == [
        Document("b", f"{before}Aspi\nrin\U0001f637", spans),
        Document("sub/a", "\U0001f637 ]", (Mention(0, 1, "symptom"),)),
    ]
    assert read_inline(tmp_path / "in" / "b.txt", Counter()) == documents[:1]
    with pytest.raises(InputError, match=r"holds no \.txt file"):
        read_inline(write("none/x", "").parent, Counter())


@pytest.mark.parametrize("mark", ["[drug: canary", "[drug: canary [81 mg]]"])
def test_a_mark_that_is_not_closed_names_its_line(write, mark):
    with pytest.raises(InputError, match=r"x\.txt, line 2: \[label: must be closed") as caught:
        read_inline(write("x.txt", f"[sign: a]\n{mark}\n"), Counter())
    assert "canary" not in str(caught.value)


WITHOUT_BRACKETS = TEXTS.map(lambda text: text.replace("[", "(").replace("]", ")"))


@given(
    documents(
        names=st.sampled_from(["drug", "a-b_1"]),
        texts=WITHOUT_BRACKETS,
        discontinuous=False,
        extras=False,
    )
)
def test_marks_are_taken_out_again(document):
    marked, end, kept = "", 0, []
    for span in document.spans:
        if span.begin >= end:  # marks cannot overlap
            inside = document.text[span.begin : span.end]
            marked += f"{document.text[end : span.begin]}[{span.label}: {inside}]"
            end = span.end
            kept.append(span)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.txt"
        path.write_bytes((marked + document.text[end:]).encode())
        [found] = read_inline(path, Counter())
    assert found == make_document("d", document.text, kept)
