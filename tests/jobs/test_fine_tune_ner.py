"""Both training jobs, from command line to card, on a tiny encoder and an invented corpus."""

import itertools
import json
import os
import signal

import pytest
from mlflow import MlflowClient

from jobs import fine_tune_ner, score_model
from udfs.package.model_package import load_manifest

TINY = ["--max-wordpieces", "32", "--overlap", "8", "--learning-rate", "0.01", "--threads", "1"]


@pytest.fixture(scope="module")
def tiny(load_tiny):
    return load_tiny("tiny_bert")


@pytest.fixture
def place(tmp_path, monkeypatch, tiny):
    """A current folder of the test's own, with a base model and a corpus."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tiny.write_tiny_bert(tmp_path / "base")
    tiny.write_tiny_bc5cdr(tmp_path / "data")
    return tmp_path


def train(*more):
    usual = [] if "--corpus" in more else ["--corpus", "bc5cdr:data"]
    return fine_tune_ner.main([*usual, "--base-model", "base", *TINY, *more])


def test_training_scoring_and_the_card(place, capfd):
    assert train("--output", "models/one", "--epochs", "20") == 0
    (place / "scores.json").write_text("")
    scored = ["--model", "models/one", "--corpus", "bc5cdr:data", "--threads", "1"]
    assert score_model.main([*scored, "--json", "scores.json", "--write-card"]) == 0

    manifest = load_manifest(place / "models" / "one")
    assert manifest.scores["bc5cdr test"]["scores"]["overall"]["f1"] == 1.0
    assert json.loads((place / "scores.json").read_text()) == manifest.scores
    card = (place / "models" / "one" / "README.md").read_text()
    assert "python jobs/fine_tune_ner.py --corpus bc5cdr:data" in card
    assert "| Texts of bc5cdr | abstracts of scientific articles; BC5CDR is in the public" in card
    assert (
        f"| bc5cdr test | one | overall | {' | '.join(['1.0000 (1.000-1.000)'] * 3)} | 7 | 7 |"
        in card
    )
    output = capfd.readouterr()
    assert "epoch 20" in output.out
    assert manifest.fingerprint in output.out.replace("\n", "")

    # A word of the corpus that no vocabulary holds stands nowhere outside the corpus.
    kept = [path for path in place.rglob("*") if path.is_file() and "data" not in path.parts]
    assert len(kept) > 10
    assert not [path for path in kept if b"zyxoprim" in path.read_bytes().lower()]
    assert "zyxoprim" not in (output.out + output.err).lower()


def test_wrong_input_is_refused_before_anything_is_written(place, capsys):
    (place / "there").mkdir()
    for arguments, rule in (
        (["--output", "there"], "exists; name a new folder"),
        (["--output", "new", "--train-parts", "train,devel"], "devel is trained on"),
        (["--output", "new", "--train-parts", "all"], "train, devel, test"),
        (["--output", "new", "--dropout", "2"], "dropout 2.0 must be"),
        (["--output", "new", "--threads", "0"], "threads 0 must be"),
        (["--output", "new", "--device", "cuda:99"], "cuda:99"),
        (["--output", "new", "--processes", "0"], "--processes 0 must be"),
        (["--output", "new", "--processes", "2", "--device", "cuda"], "is for --device cpu"),
        (["--output", "new", "--checkpoint-steps", "-1"], "checkpoint_steps -1 must be"),
        (["--output", "new", "--corpus", "bc5cdr:absent"], "absent is not a folder"),
        (["--output", "new", "--base-model", "absent"], "lacks config.json"),
    ):
        assert train(*arguments) == 2
        assert rule in capsys.readouterr().err
    assert not (place / "new").exists()
    assert not (place / "build").exists()


def kill_training(step, *arguments):
    """Runs the job in a process of its own, which is killed in this step, all seeds counted."""
    from training.fine_tuning.run_observer import RunObserver

    child = os.fork()
    if child == 0:
        heard, steps = RunObserver.on_step, itertools.count(1)

        def on_step(observer, report):
            heard(observer, report)
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        RunObserver.on_step = on_step
        try:
            train(*arguments)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


def runs_of(place):
    client = MlflowClient(f"sqlite:///{place / 'build' / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("clinspan-ner")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])


SHORT = ("--epochs", "3", "--batch-wordpieces", "8", "--checkpoint-steps", "2")


def test_a_killed_training_is_no_model_and_goes_on(place, capsys):
    assert train("--output", "unbroken", "--name", "m", *SHORT) == 0
    kill_training(7, "--output", "new", "--name", "m", *SHORT)
    assert not (place / "new").exists()

    assert train("--output", "new", "--name", "m", *SHORT) == 2
    assert "was not finished: --resume goes on with it" in capsys.readouterr().err
    assert train("--output", "new", "--name", "m", *SHORT, "--resume", "--epochs", "4") == 2
    assert "another training: epochs was 3, now 4" in capsys.readouterr().err
    assert (place / ".new.training" / "state.json").is_file()

    assert train("--output", "new", "--name", "m", *SHORT, "--resume") == 0
    for file in ("model.safetensors", "config.json"):
        assert (place / "new" / file).read_bytes() == (place / "unbroken" / file).read_bytes()
    assert not (place / ".new.training").exists()
    # The run that was killed is the one that was finished: there is no third.
    assert [run.info.status for run in runs_of(place)] == ["FINISHED", "FINISHED"]


def test_training_stops_early_and_says_which_epoch_it_kept(place, capsys):
    assert train("--output", "new", "--epochs", "40", "--patience", "3") == 0
    [run] = runs_of(place)
    best = int(run.data.metrics["best_epoch"])
    curve = MlflowClient(f"sqlite:///{place / 'build' / 'mlflow' / 'mlflow.db'}")
    points = curve.get_metric_history(run.info.run_id, "devel/overall/f1")
    f1 = {point.step: point.value for point in points}
    assert len(f1) == best + 3 < 40
    assert best == min(step for step in f1 if f1[step] == max(f1.values()))
    assert f"| Best epoch | {best}, by the F1 on devel |" in (place / "new/README.md").read_text()

    assert train("--output", "other", "--patience", "3", "--score-parts", "test") == 2
    assert "patience chooses by the F1 on devel" in capsys.readouterr().err


def test_seeds_are_runs_below_one_and_the_best_becomes_the_package(place, capsys):
    assert train("--output", "one", "--name", "m", "--epochs", "2", "--seed", "3") == 0
    kill_training(3, "--output", "new", "--name", "m", "--epochs", "2", "--seeds", "2,3")
    shown = ["--output", "new", "--name", "m", "--epochs", "2", "--seeds", "2,3", "--resume"]
    assert train(*shown) == 0
    output = capsys.readouterr().out
    assert "seed 2" in output
    assert "mean ± deviation" in output
    _, parent, *children = runs_of(place)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    f1 = {run.data.params["seed"]: run.data.metrics["devel/overall/f1"] for run in children}
    assert len(f1) == 2
    assert parent.data.metrics["devel/overall/f1_mean"] == pytest.approx(sum(f1.values()) / 2)
    best = max(f1, key=lambda seed: f1[seed])
    assert parent.data.metrics["best_seed"] == int(best)
    assert f"seed {best}" in (place / "new" / "README.md").read_text()
    assert not (place / ".new.training").exists()
    if best == "3":
        weights = [place / name / "model.safetensors" for name in ("one", "new")]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    for seeds, rule in (("1", "two different ones"), ("1,1", "two different ones")):
        assert train("--output", "other", "--seeds", seeds) == 2
        assert rule in capsys.readouterr().err


@pytest.fixture
def taught(place, tiny):
    """A teacher of the corpus; its parts are alike, so that what it has seen is all of them. What
    a student learns from is another corpus, and sentences that nobody has labelled."""
    assert train("--output", "teacher", "--epochs", "20") == 0
    title, abstract = "Aspirin caused fever in patients.", "No ibuprofen and no headache."
    mentions = [("Aspirin", "Chemical"), ("fever", "Disease"), ("headache", "Disease")]
    parts = place / "other" / "pubtator"
    parts.mkdir(parents=True)
    for number, part in enumerate(("Training", "Development", "Test")):
        block = tiny.pubtator_block(str(7 + number), title, abstract, mentions)
        (parts / f"CDR_{part}Set.PubTator.txt").write_text(block, encoding="utf-8")
    (place / "more.txt").write_text("Severe xyloprim fever.\nIbuprofen caused a severe headache.\n")
    return place


STUDENT = ("--corpus", "bc5cdr:other", "--base-model", "teacher", "--teacher", "teacher")
STUDENT += ("--distillation", "0.7", "--unlabelled", "more.txt", "--keep-layers", "1", *SHORT)


def test_a_smaller_student_learns_from_teachers_and_says_so(taught, capfd):
    assert train(*STUDENT, "--output", "unbroken", "--name", "m") == 0
    teacher, student = (load_manifest(taught / name) for name in ("teacher", "unbroken"))
    assert [(e["role"], e["fingerprint"]) for e in student.learnt_from] == [
        ("teacher", teacher.fingerprint),
        ("base model", teacher.fingerprint),
    ]
    assert teacher.training_data_digest in student.seen_digests
    assert json.loads((taught / "unbroken/config.json").read_text())["num_hidden_layers"] == 1
    card = (taught / "unbroken" / "README.md").read_text()
    assert f"fingerprint `{teacher.fingerprint}`" in card
    assert "| Unlabelled texts | 1 |" in card
    parameters = runs_of(taught)[-1].data.params
    assert parameters["learnt_from"] == f"{teacher.fingerprint},{teacher.fingerprint}"
    assert (parameters["distillation"], parameters["keep_layers"]) == ("0.7", "1")

    kill_training(5, *STUDENT, "--output", "new", "--name", "m")
    resumed = [*STUDENT, "--output", "new", "--name", "m", "--resume"]
    (taught / "more.txt").write_text("Something else.")
    assert train(*resumed) == 2
    assert "another training: unlabelled_digest was" in capfd.readouterr().err
    (taught / "more.txt").write_text(
        "Severe xyloprim fever.\nIbuprofen caused a severe headache.\n"
    )
    assert train(*resumed) == 0
    for file in ("model.safetensors", "config.json"):
        assert (taught / "new" / file).read_bytes() == (taught / "unbroken" / file).read_bytes()
    output = capfd.readouterr()
    kept = [path for path in (taught / "new").iterdir()]
    assert not [path for path in kept if b"xyloprim" in path.read_bytes().lower()]
    assert "xyloprim" not in (output.out + output.err).lower()


def test_wrong_teachers_are_refused_before_anything_is_written(taught, capsys):
    for arguments, rule in (
        (["--teacher", "teacher"], "distillation must be greater than 0"),
        (["--distillation", "0.5"], "distillation 0.5 needs a teacher"),
        (["--unlabelled", "more.txt"], "without a --teacher"),
        (["--unlabelled", "absent.txt"], "must be a .txt or .jsonl file"),
        (["--terms", "Disease=more.txt"], "replace_probability must be greater than 0, or terms"),
        (["--teacher", "teacher", "--teacher", "teacher"], "named twice"),
        (["--teacher", "base", "--distillation", "1"], "is not a model package"),
        # By its teacher, and by the package that it began as, a student has seen what is scored.
        (
            ["--teacher", "teacher", "--distillation", "1"],
            "or one that it learnt from, was trained",
        ),
        (["--base-model", "teacher"], "or one that it learnt from, was trained on the devel"),
    ):
        assert train("--output", "new", *arguments) == 2
        assert rule in capsys.readouterr().err
    assert not (taught / "new").exists()
    assert not (taught / ".new.training").exists()


def test_terms_are_told_but_not_spelt(taught, capfd):
    (taught / "names.txt").write_text("xyloprim fever\nheadache\n")
    terms = ["--replace-probability", "0.5", "--terms"]
    assert train("--output", "with_terms", *SHORT, *terms, "Disease=names.txt") == 0
    card = (taught / "with_terms" / "README.md").read_text()
    assert "| Terms of Disease | 2, digest `" in card
    assert runs_of(taught)[-1].data.params["terms"] == "2"
    assert "xyloprim" not in card
    assert train("--output", "new", *SHORT, *terms, "Drug=names.txt") == 2
    assert "there are terms of Drug, but the labels of the corpora" in capfd.readouterr().err


def test_two_corpora_under_the_labels_of_one_model(place, tiny, capsys):
    tiny.write_tiny_bc5cdr(place / "more")
    maps = "bc5cdr:data: {Chemical: Drug, Disease: null}\n'bc5cdr:more': {Chemical: null}\n"
    (place / "map.yaml").write_text(maps)
    both = ["--corpus", "bc5cdr:data", "--corpus", "bc5cdr:more"]
    both += ["--label-map", "map.yaml", "--output", "new"]
    assert train(*both) == 2
    assert "does not name Disease; say for each" in capsys.readouterr().err
    (place / "map.yaml").write_text(
        maps.replace("{Chemical: null}", "{Chemical: null, Disease: D}")
    )
    assert train(*both, "--epochs", "30") == 0
    labels = load_manifest(place / "new").labels
    assert labels == ("O", "B-D", "I-D", "B-Drug", "I-Drug")
    [run] = runs_of(place)
    assert run.data.params["corpus"] == "bc5cdr+bc5cdr"
    # Each corpus is scored on what it annotates, so that a model that has learnt both is right.
    assert run.data.metrics["devel/overall/f1"] == 1.0
    (place / "map.yaml").write_text("- a")
    assert train(*both) == 2
    assert train("--output", "other", "--label-map", "absent.yaml") == 2


def test_scoring_refuses_what_is_no_package(place, capsys):
    assert score_model.main(["--model", "base", "--corpus", "bc5cdr:data"]) == 2
    assert "score_model: " in capsys.readouterr().err
    assert score_model.main(["--model", "base", "--corpus", "bc5cdr:absent"]) == 2
    assert "absent is not a folder" in capsys.readouterr().err


def test_unknown_flags_exit_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        fine_tune_ner.main(["--output", "new", "--epoch", "3"])
    assert caught.value.code == 2
    assert "--epoch" in capsys.readouterr().err
