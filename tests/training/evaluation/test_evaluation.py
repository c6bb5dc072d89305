"""What is measured together, by group and as a table, on invented documents."""

import io
import json

import pytest
from rich.console import Console

from jobs.display.score_tables import (
    calibration_line,
    calibration_table,
    group_table,
    measure_table,
    strict_table,
)
from training.corpora.form_table import Document
from training.evaluation.document_groups import group_documents, read_group_file
from training.evaluation.evaluation import evaluate
from training.evaluation.measures import MEASURES
from training.evaluation.plots import write_plots
from udfs.decoding.score_calibration import ScoreCalibration
from udfs.errors import InputError
from udfs.spans import Span

DOCUMENTS = [
    Document("n1", "Fever after aspirin.", (Span(0, 5, "Disease"), Span(12, 19, "Chemical"))),
    Document("n2", "No fever, no rash.", (Span(3, 8, "Disease"), Span(13, 17, "Disease"))),
]
FOUND = [
    [Span(0, 5, "Disease", 0.9), Span(12, 19, "Disease", 0.6)],
    [Span(0, 8, "Disease", 0.7)],
]


def shown(*parts):
    console = Console(width=200, file=io.StringIO())
    for part in parts:
        console.print(part)
    return console.file.getvalue()


def test_every_measure_has_scores_and_intervals():
    evaluation = evaluate(DOCUMENTS, FOUND, resamples=50)
    figures = evaluation.to_dict()
    assert tuple(figures["measures"]) == MEASURES
    f1 = {name: rows["overall"]["f1"]["value"] for name, rows in figures["measures"].items()}
    assert f1 == {
        "strict": 0.2857,
        "exact": 0.5714,
        "partial": 0.7143,
        "type": 0.5714,
        "lenient": 0.5714,
        "seqeval": 0.2857,
    }
    low, high = figures["measures"]["strict"]["Disease"]["recall"]["interval"]
    assert (low, high) == (0.0, 1.0)
    assert figures["scores"]["overall"]["correct"] == 1
    assert figures["calibration"]["share_right"] == 0.3333
    assert json.dumps(figures)


def test_tables_hold_what_was_measured():
    evaluation = evaluate(DOCUMENTS, FOUND, resamples=50)
    text = shown(strict_table(evaluation, "title"), measure_table(evaluation))
    assert "0.2857" in text
    assert ".000-.5" in text
    assert "lenient" in text
    assert "right 0.333" in calibration_line(evaluation)
    after = evaluation.outcomes.calibrated(ScoreCalibration(1.0, {"Disease": -1.0}))
    text = shown(calibration_table(evaluation.outcomes, after, "title"))
    assert "0.733" in text
    assert "0.528" in text
    assert "aspirin" not in text.lower()


def test_plots_are_pictures(tmp_path):
    for path in write_plots(tmp_path / "plots", evaluate(DOCUMENTS, FOUND, resamples=20)):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_nothing_to_measure():
    evaluation = evaluate([], [], resamples=5)
    assert evaluation.to_dict()["scores"]["overall"]["f1"] == 0.0
    assert shown(strict_table(evaluation, "empty"), measure_table(evaluation))


@pytest.fixture
def group_file(tmp_path):
    lines = [
        {"note_id": "n1", "note_type": "DS", "sections": [{"begin": 0, "end": 6, "name": "HPI"}]},
        {"note_id": "n3", "note_type": "RR"},
    ]
    path = tmp_path / "groups.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_documents_by_note_type_and_mentions_by_section(group_file):
    lines = read_group_file(group_file, DOCUMENTS)
    by_type = group_documents("note_type", lines, DOCUMENTS, FOUND)
    assert [(g.name, [d.doc_id for d in g.documents]) for g in by_type] == [
        ("(none)", ["n2"]),
        ("DS", ["n1"]),
    ]
    assert by_type[1].documents[0].spans == DOCUMENTS[0].spans
    by_section = group_documents("section", lines, DOCUMENTS, FOUND)
    assert [(g.name, [len(d.spans) for d in g.documents]) for g in by_section] == [
        ("(none)", [1, 2]),
        ("HPI", [1]),
    ]
    assert by_section[1].predicted == [[FOUND[0][0]]]
    text = shown(group_table("section", by_section, 20))
    assert "1.000-1.000" in text


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{}", "line 1: must be an object with a note_id"),
        ("[1]", "line 1: must be"),
        ("{", "line 1: must be"),
        ('{"note_id": "n1", "sections": [{"begin": 0}]}', "line 1: must be"),
        ('{"note_id": "other"}', "none of its note_ids"),
    ],
)
def test_a_group_file_that_does_not_fit_is_refused(tmp_path, line, fault):
    path = tmp_path / "groups.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=fault):
        read_group_file(path, DOCUMENTS)
