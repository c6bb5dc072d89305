"""The main job as a user starts it: exit codes, messages, the whole path with the real model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.extract_entities import main
from tests.support.places import REPOSITORY, SHIPPED
from udfs.package.model_package import load_manifest, sha256_of

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def hash_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLINSPAN_HASH_KEY", "ab" * 32)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    rows = [
        {"note_id": "a", "text": "Started metformin for type 2 diabetes. No chest pain."},
        {
            "note_id": "b",
            "text": "Allergic to penicillin (rash).\r\n\r\nNaïve to opioids 😀 aspirin.",
        },
        {"note_id": "c", "text": None},
    ]
    path = tmp_path / "notes.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def changed_model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "model"))


def resign(folder: Path, name: str) -> None:
    """Makes the manifest agree with a changed file, so that the next check is reached."""
    manifest = json.loads((folder / "ner_model.json").read_text())
    manifest["files"][name] = sha256_of(folder / name)
    (folder / "ner_model.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "x"], "--notes PATH"),
        (["--notes", "x", "--output", "y", "--set", "run.partitons=3"], "run.partitions"),
        (["--notes", "x", "--output", "y", "--set", "entities.min_score=2"], "min_score"),
        (["--notes", "x", "--output", "y", "--model", "nowhere"], "no model package"),
        (["--notes", "x", "--output", "y", "--model", "models:/x"], "models:/NAME@ALIAS"),
    ],
)
def test_bad_settings_end_with_2_before_spark(arguments: list[str], words: str, capsys) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_labels_that_the_model_does_not_have_end_with_2(notes: Path, capsys) -> None:
    wanted = "entities.labels=[Chemical, disease]"
    assert main(["--notes", str(notes), "--output", "x", "--set", wanted]) == 2
    said = capsys.readouterr().err
    assert "entities.labels holds disease" in said and "Chemical, Disease" in said


def test_what_a_worker_says_is_told_without_what_surrounds_it(
    notes: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError(
            "Job aborted: canary\nudfs.errors.InputError: model.device is 'cuda'\n\tat canary"
        )

    monkeypatch.setattr("jobs.extract_entities.start_session", lambda name: None)
    monkeypatch.setattr("jobs.extract_entities.open_engine", lambda spark, engine, how: engine)
    monkeypatch.setattr("jobs.extract_entities.run_extraction", fail)
    assert main(["--notes", str(notes), "--output", "x"]) == 1
    assert capsys.readouterr().err == "extract_entities: error: model.device is 'cuda'\n"


def _flip(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def _truncate(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)


def _pickle(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(_flip, "sha256"), (_truncate, "sha256"), (_pickle, "pytorch_model.bin")],
)
def test_damaged_models_end_with_2_before_spark(
    damage, words: str, notes: Path, tmp_path: Path, capsys
) -> None:
    model = changed_model(tmp_path)
    damage(model)
    assert (
        main(["--notes", str(notes), "--output", str(tmp_path / "x"), "--model", str(model)]) == 2
    )
    assert words in capsys.readouterr().err


def test_a_model_of_another_architecture_ends_with_2(notes: Path, tmp_path: Path, capsys) -> None:
    model = changed_model(tmp_path)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "electra"}))
    resign(model, "config.json")
    assert (
        main(["--notes", str(notes), "--output", str(tmp_path / "x"), "--model", str(model)]) == 2
    )
    assert "electra" in capsys.readouterr().err


def test_missing_notes_end_with_2_and_write_nothing(spark, tmp_path: Path, capsys) -> None:
    assert main(["--notes", str(tmp_path / "no.parquet"), "--output", str(tmp_path / "r")]) == 2
    assert "nothing is there" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.whole
def test_too_many_quarantined_notes_end_with_3_and_the_rest_is_done(
    spark, notes: Path, tmp_path: Path, capsys
) -> None:
    with notes.open("a") as file:
        file.write("\n" + json.dumps({"text": "canary: aspirin without an id"}))
    root = tmp_path / "root"
    assert main(["--notes", str(notes), "--output", str(root)]) == 3
    printed = capsys.readouterr()
    assert "metformin" not in printed.out + printed.err
    assert "max_quarantined_fraction" in printed.err
    assert "canary" not in printed.err + printed.out
    assert spark.read.format("delta").load(f"{root}/processed_notes").count() == 3
    found = spark.read.format("delta").load(f"{root}/entities").collect()
    texts = {(r.note_id, r.text, r.entity_type) for r in found}
    assert {("a", "metformin", "drug"), ("a", "chest pain", "disease")} <= texts
    assert ("b", "aspirin", "drug") in texts


@pytest.mark.whole
def test_mentions_are_shown_where_a_user_asks(spark, notes: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--notes", str(notes), "--output", str(tmp_path / "root"), "--show-entities", "9"]
    assert main(arguments) == 0
    assert "metformin" in capsys.readouterr().out


@pytest.mark.whole
@pytest.mark.both_lanes
@pytest.mark.heavy
def test_the_whole_job_by_spark_submit(tmp_path: Path, samples: Path) -> None:
    """What `make demo` runs, on 12 notes, in a process and a Spark of its own."""
    few = tmp_path / "few notes.jsonl"
    lines = samples.read_text(encoding="utf-8").splitlines()[::6][:12]
    few.write_text("\n".join(lines), encoding="utf-8")
    spark_submit = Path(sys.executable).parent / "spark-submit"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK", "SPARK"))},
        "PATH": f"{spark_submit.parent}{os.pathsep}{os.environ['PATH']}",
    }
    job = REPOSITORY / "jobs" / "extract_entities.py"
    done = subprocess.run(
        [spark_submit, job, "--notes", few, "--output", tmp_path / "root"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "entities" in done.stdout and "Try, in SQL:" in done.stdout
    assert " INFO " not in done.stderr
    for table in ("entities", "processed_notes", "note_windows", "predictions", "runs"):
        assert (tmp_path / "root" / table / "_delta_log").is_dir()


def test_the_shipped_package_is_whole_and_opens_in_transformers() -> None:
    from transformers import AutoModelForTokenClassification

    manifest = load_manifest(SHIPPED)
    assert manifest.labels == ("O", "B-Chemical", "I-Chemical", "B-Disease", "I-Disease")
    model = AutoModelForTokenClassification.from_pretrained(SHIPPED, local_files_only=True)
    assert [model.config.id2label[i] for i in range(5)] == list(manifest.labels)
    size = sum(f.stat().st_size for f in SHIPPED.iterdir())
    assert size < 48_000_000
