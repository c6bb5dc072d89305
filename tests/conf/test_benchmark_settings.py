"""The settings of the benchmark: the file of the repository, and what is refused."""

from pathlib import Path

import pytest

from conf.benchmark import load_benchmark
from conf.faults import SettingsError
from tests.support.places import REPOSITORY

SETTINGS = REPOSITORY / "conf" / "benchmark.yaml"


def test_the_file_of_the_repository_is_right_and_compares_every_peer():
    settings = load_benchmark(SETTINGS)
    assert len(settings.peers) == 5
    assert settings.notes is None and settings.corpus is None


def test_overrides_count_more_than_the_file():
    settings = load_benchmark(SETTINGS, ["peer_notes=7", "peers=[]", "notes=here/notes.jsonl"])
    assert (settings.peer_notes, settings.peers) == (7, ())
    assert settings.notes == Path("here/notes.jsonl")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("peers=[spacy]", r"peers\.0 \(from --set\)"),
        ("cores=0", r"cores \(from --set\)"),
        ("copied=[1.0]", r"copied\.0 \(from --set\)"),
        ("notess=a", r"notess \(from --set\)"),
        ("cores", "must be section.key=value"),
    ],
)
def test_a_wrong_value_is_named_with_where_it_came_from(override, told):
    with pytest.raises(SettingsError, match=told):
        load_benchmark(SETTINGS, [override])


def test_a_value_of_the_file_that_lacks_is_named_with_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("cores: 2\n")
    with pytest.raises(SettingsError, match=r"model \(from .*mine\.yaml\)"):
        load_benchmark(tmp_path / "mine.yaml")
