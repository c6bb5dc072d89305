"""Promotion from end to end on MLflow's sqlite store, and the address in the extraction job."""

import shutil
from dataclasses import replace

import pytest

from conf.settings import load_settings
from jobs import promote_model
from jobs.wiring.locate_model import locate_model
from training.tracking.mlflow_store import STORE, open_client
from training.tracking.model_registry import fetch_package
from udfs.errors import InputError
from udfs.package.model_package import load_manifest


@pytest.fixture
def promote(tiny_models, own_folder, capsys):
    def run(candidate, *more):
        arguments = ["--candidate", str(candidate), "--corpus", tiny_models.corpus]
        code = promote_model.main([*arguments, "--threads", "1", *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def last_run():
    client = open_client()
    experiment = client.get_experiment_by_name("clinspan-ner")
    return client.search_runs([experiment.experiment_id], max_results=1)[0]


def test_the_alias_moves_only_to_what_is_no_worse(promote, tiny_models, own_folder, canary_files):
    with pytest.raises(InputError, match="there is no MLflow store"):
        fetch_package("models:/clinspan-ner@champion")
    code, said = promote(tiny_models.poor)
    assert code == 0, said
    assert "models:/clinspan-ner@champion is models:/clinspan-ner/1 now" in said

    code, said = promote(tiny_models.good, "--notes", str(tiny_models.notes))
    assert code == 0, said
    assert "models:/clinspan-ner/2 now, before models:/clinspan-ner/1" in said
    assert "notes change" in said
    run = last_run()
    assert run.data.params["verdict"] == "promoted"
    assert run.data.params["champion"] == "models:/clinspan-ner/1"
    assert run.data.metrics["difference/overall/f1_low"] > 0
    assert run.data.metrics["notes/gained/Chemical"] > 0
    good = load_manifest(tiny_models.good)
    champion = fetch_package("models:/clinspan-ner@champion")
    assert (champion.address, champion.manifest) == ("models:/clinspan-ner/2", good)

    code, said = promote(tiny_models.poor, "--notes", str(tiny_models.notes), "--max-changed", "0")
    assert code == 5
    assert "F1 may be worse than the champion's by 0.01 or more" in said
    assert "of the notes change, more than 0.0%" in said
    assert "champion stays models:/clinspan-ner/2" in said
    assert fetch_package("models:/clinspan-ner@champion").version == "2"
    run = last_run()
    assert (run.info.status, run.data.params["verdict"]) == ("FINISHED", "refused")
    assert "F1 may be worse" in run.data.params["broken_rules"]
    assert len(open_client().search_model_versions("name = 'clinspan-ner'")) == 2

    code, said = promote(tiny_models.good)
    assert code == 2
    assert "is models:/clinspan-ner/2, which is champion already" in said
    assert canary_files(own_folder) == []

    # The extraction job takes one fixed version, from where the registry keeps it.
    flags = {"notes.path": "n", "output.path": "o", "model.folder": "models:/clinspan-ner@champion"}
    found = locate_model(load_settings(None, None, [], flags).model.folder)
    assert found.address == "models:/clinspan-ner/2"
    assert found.folder == champion.folder
    assert found.folder.is_relative_to(own_folder / STORE)
    assert found.manifest.fingerprint == good.fingerprint
    assert locate_model(str(found.folder)) == replace(found, address=None)

    # A version of the registry can be a candidate itself, and is not registered again.
    code, said = promote("models:/clinspan-ner/1", "--alias", "fallback")
    assert code == 0, said
    assert "models:/clinspan-ner@fallback is models:/clinspan-ner/1 now" in said
    assert len(open_client().search_model_versions("name = 'clinspan-ner'")) == 2

    (champion.folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json .* is not the file"):
        fetch_package("models:/clinspan-ner/2")


def test_a_floor_holds_without_a_champion(promote, tiny_models, own_folder):
    code, said = promote(tiny_models.good, "--floor", "Disease=1", "--floor", "overall=0.1")
    assert code == 5
    assert "F1 of Disease is" in said
    assert "below the floor 1.0" in said
    assert "no champion is set" in said
    assert open_client().search_registered_models() == []


def test_what_cannot_be_judged_is_refused_before_anything_is_scored(
    promote, tiny_models, own_folder
):
    for flags, rule in (
        (["--part", "train"], "was trained on the train parts"),
        (["--max-changed", "0.5"], "--max-changed needs --notes"),
        (["--margin", "2"], "gate margin 2.0 must be from 0 to 1"),
        (["--notes", "absent.jsonl"], "absent.jsonl cannot be read"),
        (["--alias", "latest"], "MLflow keeps the aliases latest"),
        (["--name", "it's"], "must be models:/NAME@ALIAS"),
    ):
        code, said = promote(tiny_models.good, *flags)
        assert (code, rule in said) == (2, True), said
    code, said = promote(own_folder / "absent")
    assert code == 2
    assert "no model package at" in said
    broken = shutil.copytree(tiny_models.good, own_folder / "broken")
    (broken / "vocab.txt").unlink()
    code, said = promote(broken)
    assert code == 2
    assert "vocab.txt is missing" in said
