"""The sample files of the shared data, and a folder of invented ones."""

import json
from collections import Counter

import pytest


@pytest.fixture(scope="session")
def formats(shared_data):
    """The folder of sample files in each form; skips where it is absent."""
    folder = shared_data / "formats"
    if not folder.is_dir():
        pytest.skip("the shared data has no folder formats")
    return folder


@pytest.fixture
def write(tmp_path):
    """Writes a file of that name below a folder of the test's own; returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def read(write):
    """Reads records, or a file with this content; returns documents and what was met."""

    def read_records(reader, records, name="x.json", **options):
        met = Counter()
        content = records if isinstance(records, str | bytes) else json.dumps(records)
        return reader(write(name, content), met, **options), +met

    return read_records
