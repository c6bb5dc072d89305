"""The notebooks do what they say: each is executed and its results are compared with another way
to the same.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY, SHIPPED
from training.evaluation.strict_scores import LabelScore
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.package.model_package import load_manifest
from udfs.spans import Span

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
PATIENT, SHOWN_NOTE = 12233190, "12233190-PN-5"


@pytest.fixture(scope="module")
def shipped() -> TokenClassifier:
    return TokenClassifier.load(SHIPPED, device="cpu", threads=1)


def test_these_are_the_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["evaluate", "quickstart", "train"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    # No more metadata than this: editors add versions and state, some of which hold outputs.
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert not [c for c in notebook["cells"] if c["metadata"] not in ({}, {"tags": ["parameters"]})]


@pytest.mark.whole
@pytest.mark.model
def test_quickstart(run_notebook, shipped: TokenClassifier, samples: Path, tmp_path: Path) -> None:
    lines = samples.read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["subject_id"] == PATIENT]
    texts = {row["note_id"]: row["text"] for row in rows}
    expected = {note_id: find_entities(text, shipped) for note_id, text in texts.items()}

    got = run_notebook(
        "quickstart",
        {"OUTPUT": f"Path({str(tmp_path / 'out')!r})"},
        {
            "entities": "[[r.note_id, r.begin, r.end, r.label] for r in entities.collect()]",
            "mentions": "mentions.values.tolist()",
            "offsets": "offsets.values.tolist()",
            "answer": "answer[['text', 'label']].values.tolist()",
            "page": "page",
            "ledger": "ledger[['note_id', 'characters', 'entities']].values.tolist()",
            "drugs": "drugs['drugs'].tolist()",
            "stopped": "spark.stop()",
        },
    )

    spans = [(n, s.begin, s.end, s.label) for n, found in expected.items() for s in found]
    assert sorted(map(tuple, got["entities"])) == sorted(spans)
    assert got["offsets"] == [[len(spans), len(spans)]]
    assert [row[:4] for row in got["mentions"]] == _most_frequent(texts, expected)
    assert ["metformin", "Chemical"] in [[text.lower(), label] for text, label in got["answer"]]
    assert got["page"].count("<mark") == len(expected[SHOWN_NOTE])
    assert got["ledger"] == [[n, len(texts[n]), len(expected[n])] for n in sorted(texts)]
    assert got["drugs"] == _drugs_by_day(rows, expected)
    assert re.search(rf"entities\W+{len(spans)}\b", got["outputs"])  # the summary of the job


def _most_frequent(texts: dict[str, str], expected: dict[str, list[Span]]) -> list[list]:
    where = defaultdict(list)
    for note_id, spans in expected.items():
        for span in spans:
            kind = {"Chemical": "drug", "Disease": "disease"}[span.label]
            where[kind, texts[note_id][span.begin : span.end].lower()].append(note_id)
    counted = [[kind, mention, len(set(n)), len(n)] for (kind, mention), n in where.items()]
    return sorted(counted, key=lambda row: (-row[2], -row[3], row[1], row[0]))[:10]


def _drugs_by_day(rows: list[dict], expected: dict[str, list[Span]]) -> list[str]:
    days = defaultdict(set)
    for row in rows:
        for span in expected[row["note_id"]]:
            if span.label == "Chemical":
                days[row["charttime"][:10]].add(row["text"][span.begin : span.end].lower())
    return [", ".join(sorted(drugs)) for _, drugs in sorted(days.items())]


@pytest.mark.whole
def test_train(run_notebook, tiny, tmp_path: Path) -> None:
    base = tiny.write_tiny_bert(tmp_path / "base")
    data = tiny.write_tiny_bc5cdr(tmp_path / "data")
    recipe = "Recipe(epochs=20, learning_rate=0.01, max_wordpieces=32, overlap=8)"

    got = run_notebook(
        "train",
        {
            "PROJECT": f"Path({str(tmp_path)!r})",
            "CORPUS": repr(f"bc5cdr:{data}"),
            "BASE_MODEL": f"Path({str(base)!r})",
            "RECIPE": recipe,
            "THREADS": "1",
        },
        {
            "corpus": "corpus.values.tolist()",
            "epochs": "[row['epoch'] for row in curve]",
            "last": "curve[-1]",
            "losses": "[losses[min(losses)], losses[max(losses)]]",
            "runs": "runs[['status', 'params.epochs', *scored]].values.tolist()",
            "fingerprint": "result.manifest.fingerprint",
            "found": "[text[s.begin:s.end] for s in found]",
        },
    )

    assert got["corpus"] == [
        [part, 2, label, mentions]
        for part in ("train", "devel")
        for label, mentions in (("Chemical", 3), ("Disease", 4))
    ]
    assert got["epochs"] == list(range(1, 21))
    # The development part is the same two documents: learnt by heart.
    assert got["last"] == {
        "epoch": 20, "part": "devel", "Chemical": 1.0, "Disease": 1.0, "overall": 1.0
    }  # fmt: skip
    assert got["losses"][1] < got["losses"][0]
    assert got["runs"] == [["FINISHED", "20", 1.0]]
    assert got["found"] == ["Aspirin", "severe headache", "fever"]
    assert load_manifest(tmp_path / "build" / "my-model").fingerprint == got["fingerprint"]
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.whole
@pytest.mark.model
def test_evaluate(run_notebook, tiny, shipped: TokenClassifier, tmp_path: Path) -> None:
    """On a corpus whose gold is what the model finds, but for two wrongs that we put in."""
    folder = tmp_path / "data" / "pubtator"
    folder.mkdir(parents=True)
    texts = [
        ("Naproxen caused gastric ulcer.", "She also had a fever and took aspirin."),
        ("A study of lisinopril.", "It was given for hypertension in ten patients."),
    ]
    blocks, found, left_out = [], 0, ""
    for number, (title, abstract) in enumerate(texts):
        text = f"{title} {abstract}"
        gold = [(text[s.begin : s.end], s.label) for s in find_entities(text, shipped)]
        found += len(gold)
        if number == 0:
            left_out = gold.pop()[0]  # the model finds one more than gold has
        else:
            gold.append(("patients", "Disease"))  # and misses one
        blocks.append(tiny.pubtator_block(str(number), title, abstract, gold))
    path = folder / "CDR_TestSet.PubTator.txt"
    path.write_text("\n\n".join(blocks), encoding="utf-8")

    got = run_notebook(
        "evaluate",
        {"CORPUS": repr(f"bc5cdr:{tmp_path / 'data'}"), "THREADS": "1"},
        {
            "overall": "vars(scores.overall)",
            "missed": "[[*key, times] for key, times in missed.items()]",
            "extra": "[[*key, times] for key, times in extra.items()]",
            "recalls": "[row['recall'] for row in thresholds.values()]",
            "wrong": "wrong",
            "page": "page",
        },
    )

    right = (found - 1) / found
    assert LabelScore(**got["overall"]) == LabelScore(
        pytest.approx(right), pytest.approx(right), pytest.approx(right), found, found, found - 1
    )
    assert got["missed"] == [["Disease", "patients", 1]]
    assert [(text, times) for _, text, times in got["extra"]] == [(left_out.lower(), 1)]
    assert got["recalls"] == sorted(got["recalls"], reverse=True)
    assert got["wrong"] == [1, 1]
    assert got["page"].count("extra ") == 2  # the name and the hint of one mark
    assert "documents of test" in got["outputs"]
