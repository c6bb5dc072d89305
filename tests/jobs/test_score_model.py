"""The job on a tiny model: tables, JSON, groups, plots, and the page only where text is allowed."""

import json

import pytest

from jobs import score_model


@pytest.fixture
def score(tiny_models, own_folder):
    def run(*more):
        arguments = ["--model", str(tiny_models.good), "--corpus", tiny_models.corpus]
        return score_model.main([*arguments, "--threads", "1", "--resamples", "50", *more])

    return run


def test_tables_json_and_plots_hold_no_text(score, own_folder, tiny_models, capsys, canary_files):
    groups = own_folder / "groups.jsonl"
    lines = [
        {
            "note_id": f"test{n}",
            "note_type": "DS",
            "sections": [{"begin": 0, "end": 20, "name": "A"}],
        }
        for n in range(14)
    ]
    groups.write_text("".join(json.dumps(line) + "\n" for line in lines))
    more = ("--by", "note_type,section", "--groups", str(groups), "--plots", "plots")
    assert score("--json", "scores.json", *more) == 0
    entry = json.loads((own_folder / "scores.json").read_text())["span-json test"]
    strict = entry["measures"]["strict"]["overall"]["f1"]
    assert strict["value"] == entry["scores"]["overall"]["f1"]
    assert 0.5 < strict["interval"][0] <= strict["value"] <= strict["interval"][1] <= 1.0
    assert entry["measures"]["lenient"]["overall"]["f1"]["value"] > strict["value"]
    assert sorted(path.name for path in (own_folder / "plots").iterdir()) == [
        "f1_by_label.png",
        "reliability.png",
    ]
    shown = capsys.readouterr().out
    for words in ("lenient", "seqeval", "note_type", "DS", "section", "expected calibration error"):
        assert words in shown
    assert "zyxoprim" not in shown
    assert canary_files(own_folder) == []


def test_the_page_of_errors_needs_leave_to_hold_text(score, own_folder, capsys):
    assert score("--html", "errors.html") == 2
    assert "give --show-text" in capsys.readouterr().err
    assert not (own_folder / "errors.html").exists()
    assert score("--html", "errors.html", "--show-text") == 0
    page = (own_folder / "errors.html").read_text(encoding="utf-8")
    assert "This page holds text" in page
    assert "fever" in page
    assert (own_folder / "errors.html").stat().st_mode & 0o777 == 0o600


def test_labels_that_are_not_named_are_not_judged(score, own_folder, capsys):
    assert score("--json", "all.json") == 0
    assert score("--json", "one.json", "--labels", "Disease") == 0
    every, one = (
        json.loads((own_folder / f"{name}.json").read_text())[key]["scores"]
        for name, key in (("all", "span-json test"), ("one", "span-json test, Disease alone"))
    )
    assert set(every) == {"Chemical", "Disease", "overall"}
    assert set(one) == {"Disease", "overall"}
    assert one["overall"] == one["Disease"] == every["Disease"]
    assert score("--labels", "Disease,Drug") == 2
    assert "no document has a mention of Drug: labels must be of" in capsys.readouterr().err


def test_flags_that_cannot_work_are_refused(score, capsys):
    assert score("--by", "section") == 2
    assert "--by needs --groups" in capsys.readouterr().err
    assert score("--labels", "Disease", "--write-card") == 2
    assert "leave --write-card out" in capsys.readouterr().err
    assert score("--resamples", "0") == 2
    with pytest.raises(SystemExit) as caught:
        score("--by", "ward")
    assert caught.value.code == 2
