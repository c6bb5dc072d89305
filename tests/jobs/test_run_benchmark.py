"""The benchmark as a whole, over a handful of notes."""

import json

import pytest

from jobs.run_benchmark import main

pytestmark = [pytest.mark.slow, pytest.mark.model]
FEW = {
    "peer_notes": "4",
    "peers": "[hugging_face_tuned]",
    "batch_sizes": "[4]",
    "sizes": "[30]",
    "copied": "[0.0]",
    "copies_notes": "20",
}


def test_every_measurement_is_reported(tmp_path, capsys):
    options = [part for key, value in FEW.items() for part in ("--set", f"{key}={value}")]
    assert main(["--output", str(tmp_path / "out"), *options]) == 0
    report = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert [(m["what"], m["notes"]) for m in report] == [
        ("engine", "shared"),
        ("clinspan", "shared"),
        ("hugging_face_tuned", "few"),
        ("hugging_face_tuned", "shared"),
        ("clinspan", "shared"),
        ("clinspan", "invented-30-0.50"),
        ("clinspan", "invented-20-0.00"),
    ]
    figures = {m["notes"]: m["figures"] for m in report if m["what"] == "clinspan"}
    assert [f["notes"] for f in figures.values()] == [4, 30, 20]
    for measurement in report[1:]:
        assert measurement["figures"]["seconds"] > 0
        assert measurement["peaks"]["JVM"] > 0 and measurement["peaks"]["worker"] > 0
    half, none = figures["invented-30-0.50"], figures["invented-20-0.00"]
    assert half["distinct_windows"] < 0.8 * half["windows"]
    assert none["distinct_windows"] == none["windows"] == 120
    assert {place.name for place in (tmp_path / "out").glob("*.png")} == {
        "peers.png",
        "sizes.png",
        "copies.png",
    }
    assert "word-pieces/s" in capsys.readouterr().out


def test_a_setting_that_cannot_be_is_exit_code_2(tmp_path, capsys):
    assert main(["--output", str(tmp_path / "out"), "--set", "cores=0"]) == 2
    assert "cores" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
