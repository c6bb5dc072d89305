from jobs import average_models
from udfs.package.model_package import load_manifest


def average(*arguments):
    return average_models.main([str(argument) for argument in arguments])


def test_two_models_become_one_and_the_card_names_the_command(tiny_models, own_folder, capsys):
    pair = ["--model", tiny_models.good, "--model", tiny_models.poor]
    assert average(*pair, "--output", "out/mean", "--name", "the mean") == 0
    manifest = load_manifest(own_folder / "out" / "mean")
    assert manifest.name == "the mean"
    assert manifest.fingerprint in capsys.readouterr().out
    card = (own_folder / "out" / "mean" / "README.md").read_text()
    assert "python jobs/average_models.py --model" in card
    moved = ["--outside-bias", "1.5", "--output", "out/moved"]
    assert average(*pair, *moved) == 0
    card = (own_folder / "out" / "moved" / "README.md").read_text()
    assert "--outside-bias 1.5 --output out/moved`" in card
    assert load_manifest(own_folder / "out" / "moved").fingerprint != manifest.fingerprint
    assert average(*pair, "--output", "out/mean") == 2
    assert "exists; name a new folder" in capsys.readouterr().err


def test_what_cannot_be_averaged_is_told(tiny_models, own_folder, capsys):
    good = ["--model", tiny_models.good, "--output", "out"]
    assert average(*good) == 2
    assert "two packages or more" in capsys.readouterr().err
    assert average(*good, "--model", own_folder / "absent") == 2
    assert "no model package" in capsys.readouterr().err
    assert average(*good, "--model", tiny_models.poor, "--name", "a\nb") == 2
    assert "--name must be" in capsys.readouterr().err
    assert not (own_folder / "out").exists()
