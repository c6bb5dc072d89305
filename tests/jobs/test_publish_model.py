"""The job against a hub on this machine: what it sends, what it refuses, what comes back."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from jobs import publish_model, score_model
from tests.support import loopback_hub as loopback
from training.package.card_metadata import split_card
from training.package.model_hub import fetch_model
from udfs.annotation.note_annotation import find_entities
from udfs.classifiers.token_classifier import TokenClassifier
from udfs.package.model_package import load_manifest, sha256_of, write_manifest

REPOSITORY = f"{loopback.OWNER}/drugs"


@pytest.fixture(scope="module")
def scored(tiny_models, tmp_path_factory):
    """A package that has its scores in manifest and card. Never write to it."""
    folder = tmp_path_factory.mktemp("scored") / "good"
    shutil.copytree(tiny_models.good, folder)
    arguments = ["--corpus", tiny_models.corpus, "--threads", "1", "--resamples", "50"]
    assert score_model.main(["--model", str(folder), *arguments, "--write-card"]) == 0
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub that the client library talks to, with a token that may write."""
    server = loopback.LoopbackHub()
    # What HF_ENDPOINT decides, where it is set before the library is imported.
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", loopback.TOKEN)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def publish(scored, hub, capsys):
    def run(*more, model=scored, repository=REPOSITORY):
        arguments = ["--model", str(model), "--repository", repository, *more]
        code = publish_model.main(arguments)
        said = capsys.readouterr()
        assert loopback.TOKEN not in said.out + said.err
        return code, said.out, said.err

    return run


def test_it_sends_the_files_of_the_package_in_one_commit_and_says_where(publish, hub, scored):
    (scored / "notes.txt").write_text("not of the package")
    code, said, _ = publish("--license", "apache-2.0")
    assert code == 0
    files = hub.repositories[REPOSITORY]["files"]
    assert sorted(files) == sorted([*load_manifest(scored).files, "ner_model.json"])
    commits = [path for verb, path in hub.requests if path.endswith("/commit/main")]
    assert len(commits) == 1
    oid = loopback._oid(files)
    assert f"published: {hub.url}/{REPOSITORY}/commit/{oid}" in said
    assert not hub.repositories[REPOSITORY]["private"]
    # A repeat changes nothing and is no error.
    assert publish("--license", "apache-2.0")[0] == 0
    assert hub.repositories[REPOSITORY]["files"] == files


def test_what_comes_back_is_a_package_and_opens_in_plain_transformers(
    publish, hub, scored, monkeypatch
):
    monkeypatch.setattr(loopback, "LARGE", 20_000)  # so that the weights go the way of large files
    assert publish("--license", "mit")[0] == 0
    assert hub.large
    back = fetch_model(REPOSITORY)
    model = AutoModelForTokenClassification.from_pretrained(back)
    ner = pipeline(
        "token-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(back)
    )
    text = "aspirin caused severe headache in patients."
    ours = find_entities(text, TokenClassifier.load(scored, device="cpu"))
    found = [(piece["start"], piece["entity"]) for piece in ner(text)]
    assert {(span.begin, f"B-{span.label}") for span in ours} <= set(found)
    assert len(ours) == 2

    whole = scored.parent / "back"
    whole.mkdir()
    for name, content in hub.repositories[REPOSITORY]["files"].items():
        (whole / name).write_bytes(content)
    assert load_manifest(whole).fingerprint == load_manifest(scored).fingerprint
    shutil.rmtree(whole)


def test_the_card_tells_hubs_what_it_is(publish, hub, scored):
    before = (scored / "README.md").read_bytes()
    assert publish("--license", "mit", "--private")[0] == 0
    assert (scored / "README.md").read_bytes() == before
    assert hub.repositories[REPOSITORY]["private"]
    card = hub.repositories[REPOSITORY]["files"]["README.md"].decode()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["license"] == "mit"
    assert metadata["pipeline_tag"] == "token-classification"
    [result] = metadata["model-index"][0]["results"]
    assert result["dataset"] == {"type": "span-json", "name": "span-json", "split": "test"}
    [f1] = [metric for metric in result["metrics"] if metric["name"] == "f1 (strict, overall)"]
    low, high = f1["args"]["interval_95"]
    assert 0.5 < low <= f1["value"] <= high <= 1


def test_a_dry_run_asks_nothing_of_the_hub(publish, hub, scored):
    code, said, _ = publish("--license", "mit", "--dry-run")
    assert code == 0
    for words in (
        "model.safetensors, ",
        "README.md",
        "licence      mit",
        "trained on   unknown",
        "scored       span-json",
    ):
        assert words in said
    assert "nothing was sent" in said
    assert hub.requests == []


def test_what_may_not_be_published_is_refused_before_anything_is_sent(
    publish, hub, scored, tiny_models, tmp_path
):
    assert "is not scored" in publish(model=tiny_models.poor)[2]
    assert "names no licence: give --license" in publish()[2]
    assert "must be OWNER/NAME" in publish("--license", "mit", repository="drugs")[2]
    assert "must be an identifier" in publish("--license", "My own")[2]
    assert "no model package at" in publish(model=tmp_path / "absent")[2]
    broken = Path(shutil.copytree(scored, tmp_path / "broken"))
    (broken / "config.json").write_text("{}")
    code, _, error = publish("--license", "mit", model=broken)
    assert code == 2
    assert "config.json" in error
    assert hub.requests == []


def test_a_card_of_an_earlier_release_gets_its_head_on_the_way(publish, hub, scored, tmp_path):
    old = Path(shutil.copytree(scored, tmp_path / "old"))
    _, words = split_card((old / "README.md").read_text(encoding="utf-8"))
    (old / "README.md").write_text(words, encoding="utf-8")
    manifest = load_manifest(scored)
    files = {**manifest.files, "README.md": sha256_of(old / "README.md")}
    write_manifest(old, dataclasses.replace(manifest, files=files))
    assert publish("--license", "mit", model=old)[0] == 0
    card = hub.repositories[REPOSITORY]["files"]["README.md"].decode()
    assert {"library_name", "model-index", "license"} <= split_card(card)[0].keys()


def test_a_failing_hub_is_named_and_the_token_is_not(publish, hub, monkeypatch):
    licence = ("--license", "mit")
    code, _, error = publish(*licence, repository="others/drugs")
    assert code == 1
    assert "does not let this token write to others/drugs (status 403)" in error
    hub.loses = "vocab.txt"
    code, _, error = publish(*licence)
    assert code == 1
    assert "does not hold vocab.txt as they were sent" in error
    code, _, error = publish(*licence, "--private")
    assert code == 1
    assert "is there and public: nothing was sent" in error
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, _, error = publish(*licence)
    assert code == 1
    assert "(status 401)" in error
    assert "hf_wrong" not in error
    monkeypatch.delenv("HF_TOKEN")
    code, _, error = publish(*licence)
    assert code == 2
    assert "no token for the hub: set HF_TOKEN" in error
    monkeypatch.setenv("HF_TOKEN", loopback.TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    code, _, error = publish(*licence)
    assert code == 1
    assert "could not be reached" in error
