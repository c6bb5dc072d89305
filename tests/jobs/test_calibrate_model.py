import json

from jobs import calibrate_model, score_model
from udfs.package.model_package import load_manifest


def calibrate(models, *more):
    arguments = ["--model", str(models.good), "--corpus", models.corpus, "--threads", "1"]
    return calibrate_model.main([*arguments, "--output", "out/calibrated", *more])


def test_scores_become_probabilities_in_a_new_package(tiny_models, own_folder, capsys):
    before = load_manifest(tiny_models.good)
    assert calibrate(tiny_models, "--plots", "plots") == 0
    manifest = load_manifest(own_folder / "out" / "calibrated")
    assert not manifest.calibration.changes_nothing
    assert manifest.fingerprint != before.fingerprint
    assert load_manifest(tiny_models.good) == before
    assert (own_folder / "plots" / "reliability.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert manifest.fingerprint in shown
    assert "zyxoprim" not in shown

    def error_of(package):
        arguments = ["--model", str(package), "--corpus", tiny_models.corpus, "--threads", "1"]
        assert score_model.main([*arguments, "--resamples", "10", "--json", "s.json"]) == 0
        entry = json.loads((own_folder / "s.json").read_text())["span-json test"]
        return entry["scores"], entry["calibration"]["expected_calibration_error"]

    scores, raw = error_of(tiny_models.good)
    calibrated_scores, calibrated = error_of(own_folder / "out" / "calibrated")
    assert calibrated_scores == scores
    assert calibrated < raw


def test_what_would_judge_itself_is_refused(tiny_models, own_folder, capsys):
    for flags, rule in (
        (["--part", "test"], "are both test"),
        (["--part", "train"], "was trained on the train parts"),
        (["--test-part", "train"], "was trained on the train parts"),
    ):
        assert calibrate(tiny_models, *flags) == 2
        assert rule in capsys.readouterr().err
    (own_folder / "out" / "calibrated").mkdir(parents=True)
    assert calibrate(tiny_models) == 2
    assert "exists; name a new folder" in capsys.readouterr().err
