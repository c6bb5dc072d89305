"""Models side by side, each in a process of its own: files, MLflow, and what is refused."""

import json
import struct

import pytest

from jobs import compare_models, score_model
from training.tracking.mlflow_store import open_client
from udfs.package.model_package import load_manifest

pytestmark = pytest.mark.whole


@pytest.fixture
def compare(tiny_models, own_folder, capsys):
    def run(*more, models=None):
        chosen = models or [f"good={tiny_models.good}", f"poor={tiny_models.poor}"]
        named = [flag for one in chosen for flag in ("--model", one)]
        arguments = [*named, "--corpus", tiny_models.corpus, "--output", "report", *more]
        code = compare_models.main(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_two_models_are_compared_in_files_and_in_mlflow(
    compare, tiny_models, own_folder, canary_files, capsys
):
    code, said = compare("--passes", "2", "--resamples", "200")
    assert code == 0, said
    found = json.loads((own_folder / "report" / "comparison.json").read_text())
    assert (found["documents"], found["part"], found["threads"]) == (28, "test", 1)
    good, poor = found["models"]["good"], found["models"]["poor"]
    assert good["model_fingerprint"] == load_manifest(tiny_models.good).fingerprint

    # The scores are those that the other job finds in this process.
    for name, folder in (("good", tiny_models.good), ("poor", tiny_models.poor)):
        flags = ["--model", str(folder), "--corpus", tiny_models.corpus, "--threads", "1"]
        assert score_model.main([*flags, "--json", "s.json", "--resamples", "200"]) == 0
        [entry] = json.loads((own_folder / "s.json").read_text()).values()
        assert found["models"][name]["strict"] == entry["measures"]["strict"]
    assert "f1_difference" not in good
    change = poor["f1_difference"]["overall"]
    expected = poor["strict"]["overall"]["f1"]["value"] - good["strict"]["overall"]["f1"]["value"]
    assert change["value"] == pytest.approx(expected, abs=2e-4)
    assert change["interval"][0] <= change["value"] <= change["interval"][1] < 0
    for one in (good, poor):
        assert one["characters_per_second"] > one["documents_per_second"] > 0
        assert 100 < one["peak_memory_mib"] < 10_000
        files = [tiny_models.good / "ner_model.json", tiny_models.good / "model.safetensors"]
        assert one["megabytes_on_disk"] >= sum(file.stat().st_size for file in files) // 1e4 / 100

    table = (own_folder / "report" / "comparison.md").read_text()
    assert table in said
    rows = [line for line in table.splitlines() if line.startswith("| good")]
    assert len(rows) == 3  # overall and two labels
    assert f"{good['strict']['overall']['f1']['value']:.4f}" in rows[0]
    image = (own_folder / "report" / "comparison.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert struct.unpack(">I", image[16:20])[0] > 1000

    client = open_client()
    experiment = client.get_experiment_by_name("clinspan-ner")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop("comparison of models")
    assert set(runs) == {"good", "poor"}
    for name, run in runs.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        metrics, entry = run.data.metrics, found["models"][name]
        assert metrics["test/overall/f1"] == pytest.approx(
            entry["strict"]["overall"]["f1"]["value"], abs=1e-4
        )
        assert metrics["peak_memory_mib"] == entry["peak_memory_mib"]
    assert runs["poor"].data.metrics["difference/overall/f1_high"] < 0
    kept = [item.path for item in client.list_artifacts(parent.info.run_id, "comparison")]
    assert len(kept) == 3
    assert canary_files(own_folder) == []


def test_what_cannot_be_compared_is_refused_before_anything_is_tried(
    compare, tiny_models, own_folder
):
    good = f"good={tiny_models.good}"
    for flags, models, rule in (
        ([], [good, good], "two models are called good"),
        ([], ["good"], "must be NAME=FOLDER"),
        ([], [f"a;b={tiny_models.good}"], "must be 1 to 200 letters"),
        ([], [good, "other=absent"], "no model package at absent"),
        (["--part", "train"], None, "was trained on the train parts"),
        (["--passes", "0"], None, "passes 0 must be at least 1"),
        (["--corpus", "bc5cdr:absent"], None, "is not a folder"),
    ):
        code, said = compare(*flags, models=models)
        assert (code, rule in said, "trying" in said) == (2, True, False), said
    (own_folder / "report").mkdir()
    code, said = compare()
    assert (code, "report exists" in said) == (2, True)
