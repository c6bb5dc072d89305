from collections.abc import Callable
from pathlib import Path

import pytest

from conf.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLINSPAN_HASH_KEY_FILE", "CLINSPAN_HASH_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def load() -> Callable[..., Settings]:
    """`load("run.partitions=2", notes__limit=5)`: `--set` texts and flags; places are given."""

    def _load(
        *overrides: str, preset: str | None = None, config: Path | None = None, **flags: object
    ) -> Settings:
        places = {"notes.path": "notes.parquet", "output.path": "root"}
        dotted = {key.replace("__", "."): value for key, value in flags.items()}
        return load_settings(preset, config, overrides, {**places, **dotted})

    return _load
