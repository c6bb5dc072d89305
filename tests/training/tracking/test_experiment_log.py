import os

import pytest

from training.corpora.form_table import Document
from training.evaluation.strict_scores import score_documents
from training.tracking.experiment_log import ExperimentLog
from udfs.package.model_package import ModelManifest, sha256_of, write_manifest
from udfs.spans import Span


@pytest.fixture
def local_store(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "build" / "mlflow"


def read_run(log):
    from mlflow import MlflowClient

    return MlflowClient(log.tracking_uri).get_run(log.run_id)


def test_runs_keep_parameters_curves_scores_and_files(local_store, tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    files = {name: "" for name in ("config.json", "model.safetensors", "tokenizer.json")}
    for name in files:
        (package / name).touch()
        files[name] = sha256_of(package / name)
    write_manifest(package, ModelManifest("one", ("O", "B-Disease", "I-Disease"), files))
    span = Span(0, 3, "Disease")
    scores = score_documents([Document("1", "abc", (span,))], [[span]])
    with ExperimentLog("tests", "one", {"epochs": 3}) as log:
        log.log_metric("train/loss", 0.5, 20)
        log.log_scores("devel", scores, 1)
        log.log_package(package)
    run = read_run(log)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "3"}
    assert run.data.metrics["train/loss"] == 0.5
    assert run.data.metrics["devel/Disease/f1"] == 1.0
    assert run.data.metrics["devel/overall/recall"] == 1.0
    assert (local_store / "mlflow.db").is_file()
    assert [path.name for path in local_store.rglob("ner_model.json")] == ["ner_model.json"]
    assert not (tmp_path / "mlruns").exists()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"

    with pytest.raises(RuntimeError), ExperimentLog("tests", "two", {}) as failed:
        raise RuntimeError
    assert read_run(failed).info.status == "FAILED"
    assert read_run(failed).info.experiment_id == run.info.experiment_id

    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", log.tracking_uri)
    with ExperimentLog("tests", "three", {}) as other:
        pass
    assert read_run(other).info.experiment_id == run.info.experiment_id
    assert list((tmp_path / "other").iterdir()) == []


def test_a_run_that_was_killed_is_taken_up_and_parts_stand_below_their_whole(local_store):
    with ExperimentLog("tests", "whole", {}) as whole:
        part = ExperimentLog("tests", "part", {"a": 1}, parent_run_id=whole.run_id)
        with pytest.raises(RuntimeError), part:
            raise RuntimeError
        # Another value of a parameter is no error: the run is that of the first.
        with ExperimentLog("tests", "part", {"a": 2}, run_id=part.run_id) as again:
            again.log_metric("f1_mean/a&b", 0.5, 1)
    assert again.run_id == part.run_id
    run = read_run(again)
    assert (run.info.status, run.data.params) == ("FINISHED", {"a": "1"})
    assert run.data.tags["mlflow.parentRunId"] == whole.run_id
    assert run.data.metrics == {"f1_mean/a_b": 0.5}
    with ExperimentLog("tests", "new", {"a": 3}, run_id="0" * 32) as new:
        pass
    assert new.run_id != "0" * 32
    assert read_run(new).data.params == {"a": "3"}
