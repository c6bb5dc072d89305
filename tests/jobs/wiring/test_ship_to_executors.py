"""A package is used in place where executors see it, and else reaches them whole through Spark."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.wiring import ship_to_executors
from jobs.wiring.ship_to_executors import ship_code, ship_model
from pipelines import schemas
from pipelines.scoring.torch_engine import TorchEngine
from tests.support.places import REPOSITORY, SHIPPED
from udfs.package.model_package import MANIFEST, ModelPackage, load_manifest, read_manifest

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(ship_to_executors, "_scratch", lambda: folder)
    return folder


class FakeSession:
    """Remembers what it was given."""

    def __init__(self, master: str) -> None:
        self.conf = SimpleNamespace(get=lambda key, default: {"spark.master": master}[key])
        self.added: list[str] = []
        self.sparkContext = SimpleNamespace(addArchive=self.added.append)

    def addArtifacts(self, path: str, **kind: bool) -> None:
        self.added.append(f"{path} {kind}")


@pytest.mark.parametrize(
    ("master", "folder", "distribute", "ships"),
    [
        ("local[2,4]", SHIPPED, "auto", False),
        ("local-cluster[1,1,1024]", SHIPPED, "auto", False),
        ("local[2]", SHIPPED, "ship", True),
        ("spark://host:7077", SHIPPED, "auto", True),
        ("yarn", SHIPPED, "auto", True),
        ("yarn", SHIPPED, "in_place", False),
        ("yarn", Path("/Volumes/main/models/ner"), "auto", False),
        ("yarn", Path("/dbfs/models/ner"), "auto", False),
    ],
)
def test_a_package_is_shipped_where_executors_may_not_see_it(
    master: str, folder: Path, distribute: str, ships: bool
) -> None:
    spark = FakeSession(master)
    engine = TorchEngine(ModelPackage(folder, read_manifest(SHIPPED)), device="cpu")
    shipped = ship_model(spark, engine, distribute)
    assert (shipped.archive is not None) == bool(spark.added) == ships
    assert (shipped.package, shipped.device) == (engine.package, "cpu")


def test_an_engine_without_a_package_on_executors_is_left_alone() -> None:
    spark = FakeSession("yarn")

    def engine(windows: object) -> object:
        return windows

    assert ship_model(spark, engine, "ship") is engine
    assert not spark.added


def test_an_archive_holds_the_package_and_nothing_else(scratch: Path, tmp_path: Path) -> None:
    package = Path(shutil.copytree(SHIPPED, tmp_path / "package"))
    (package / "notes about patients.txt").write_text("not of the package")
    ship_model(FakeSession("yarn"), TorchEngine.from_package(package))
    [archive] = scratch.iterdir()
    with zipfile.ZipFile(archive) as content:
        assert set(content.namelist()) == {MANIFEST, *load_manifest(SHIPPED).files}
        content.extractall(tmp_path / "again")
    assert load_manifest(tmp_path / "again") == load_manifest(SHIPPED)


def test_equal_packages_make_equal_archives(scratch: Path, tmp_path: Path) -> None:
    """A notebook may ship twice in a session, from two processes or after a copy."""
    engine = TorchEngine.from_package(SHIPPED)
    first, second = FakeSession("yarn"), FakeSession("yarn")
    name = ship_model(first, engine).archive
    [archive] = scratch.iterdir()
    before = archive.read_bytes()
    archive.unlink()
    copy = Path(shutil.copytree(SHIPPED, tmp_path / "copy", copy_function=shutil.copy))
    assert ship_model(second, TorchEngine.from_package(copy)).archive == name
    assert (archive.read_bytes(), second.added) == (before, first.added)


def test_over_connect_code_and_package_are_artifacts(
    monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    monkeypatch.setattr(ship_to_executors, "is_remote", lambda: True)
    spark = FakeSession("local[2]")
    ship_code(spark)
    engine = ship_model(spark, TorchEngine.from_package(SHIPPED))
    code, model = spark.added
    assert code == f"{scratch}/clinspan-code.zip {{'pyfile': True}}"
    assert model == f"{scratch}/{engine.archive}.zip#{engine.archive} {{'archive': True}}"
    names = zipfile.ZipFile(scratch / "clinspan-code.zip").namelist()
    ours = {
        path.relative_to(REPOSITORY).as_posix()
        for package in ("udfs", "pipelines")
        for path in (REPOSITORY / package).rglob("*.py")
    }
    assert "udfs/stages/__init__.py" in ours
    assert set(names) == ours


def test_workers_score_with_a_shipped_package(spark) -> None:
    here = TorchEngine.from_package(SHIPPED, device="cpu")
    [expected] = here.classifier().predict(["aspirin for fever"])
    engine = ship_model(spark, here, "ship")
    again = ship_model(spark, engine, "ship")
    assert again == engine
    windows = spark.createDataFrame(
        [("hash", "aspirin for fever")], "window_hash string, text string"
    )
    [row] = again(windows).collect()
    assert row.window_hash == "hash" and row.wordpieces == expected.wordpieces
    assert set(row.asDict()) == set(schemas.PREDICTION.names)
    assert [span.label for span in row.spans] == ["Chemical", "Disease"]
