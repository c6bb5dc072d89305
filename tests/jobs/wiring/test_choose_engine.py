"""Which engine the settings name, what its predictions are kept under, and the exported model."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.settings import Settings, SettingsError, load_settings
from jobs import export_model
from jobs.wiring import choose_engine, onnx_cache
from pipelines.scoring.spark_nlp_engine import SparkNlpEngine, spark_nlp_fingerprint
from pipelines.scoring.torch_engine import TorchEngine
from udfs.errors import InputError
from udfs.package.model_package import EXPORT_DIGESTS, ModelManifest, ModelPackage

FILES = {name: "0" * 64 for name in ("model.safetensors", "config.json", "tokenizer.json")}
MANIFEST = ModelManifest("small", ("O", "B-X", "I-X"), FILES)
PACKAGE = ModelPackage(Path("/models/small"), MANIFEST)


def settings(*overrides: str, **flags: object) -> Settings:
    places = {"notes.path": "notes.parquet", "output.path": "root"}
    return load_settings(None, None, overrides, places | flags)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, Path]]:
    """A cache of its own, and an export that only makes the folder and is written down."""
    calls: list[tuple[Path, Path]] = []

    def export(package: Path, target: Path) -> None:
        calls.append((package, target))
        target.mkdir(parents=True)
        (target / EXPORT_DIGESTS).write_text("{}")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(onnx_cache, "export", export)
    return calls


def test_torch_is_the_default_and_keeps_the_models_own_fingerprint(exports) -> None:
    chosen = settings("model.tokens_per_batch=99")
    engine, fingerprint = choose_engine.choose_engine(chosen.model, PACKAGE)
    assert isinstance(engine, TorchEngine)
    assert fingerprint == engine.fingerprint == MANIFEST.fingerprint
    assert (engine.tokens_per_batch, engine.package) == (99, PACKAGE)
    assert exports == []


def test_spark_nlp_keeps_its_predictions_apart_and_exports_once(
    exports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choose_engine, "refuse_other_environments", lambda: None)
    chosen = settings(**{"model.engine": "spark_nlp"})
    for _ in range(2):
        engine, fingerprint = choose_engine.choose_engine(chosen.model, PACKAGE)
        assert isinstance(engine, SparkNlpEngine)
        assert fingerprint == spark_nlp_fingerprint(MANIFEST.fingerprint) != MANIFEST.fingerprint
    [(package, folder)] = exports
    assert package == PACKAGE.folder
    assert engine.onnx == folder
    assert folder.parent == tmp_path / "cache" / "clinspan" / "onnx"
    assert MANIFEST.fingerprint in folder.name


def test_an_environment_that_cannot_run_spark_nlp_exports_nothing(
    exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyspark.__version__", "4.2.0")
    with pytest.raises(InputError, match="not been run by us"):
        choose_engine.choose_engine(settings("model.engine=spark_nlp").model, PACKAGE)
    assert exports == []


def test_the_engine_is_part_of_the_settings_digest_and_no_other_is_known() -> None:
    assert settings().digest() != settings("model.engine=spark_nlp").digest()
    with pytest.raises(SettingsError, match="one of torch, spark_nlp"):
        settings("model.engine=tensorflow")


def test_the_export_job_writes_a_new_folder_only(exports, tmp_path: Path, capsys) -> None:
    target = tmp_path / "onnx"
    assert export_model.main(["--model", "package", "--output", str(target)]) == 0
    assert exports == [(Path("package"), target)]
    assert export_model.main(["--model", "package", "--output", str(target)]) == 2
    assert "remove it" in capsys.readouterr().err
    assert len(exports) == 1


def test_the_export_job_ends_with_2_for_what_is_no_package(tmp_path: Path, capsys) -> None:
    assert export_model.main(["--model", str(tmp_path), "--output", str(tmp_path / "out")]) == 2
    assert "not a model package" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
