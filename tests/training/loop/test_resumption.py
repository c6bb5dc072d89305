"""A training that is cut off anywhere and resumed gives the weights of an unbroken one, bit by
bit.
"""

import dataclasses
import json

import pytest
import torch

from training.examples.teachers import Teaching
from training.fine_tuning.epochs import fine_tune
from training.loop.checkpoints import Checkpoints
from training.recipes.recipe import Recipe
from udfs.errors import InputError

LABELS = ["Chemical", "Disease"]
# Batches of one window: four steps an epoch, fewer where windows are joined.
RECIPE = Recipe(epochs=3, learning_rate=0.01, max_wordpieces=32, overlap=8, batch_wordpieces=8)
SHAPES = {
    "plain": {},
    "augmented": {
        "join_probability": 0.5,
        "unknown_probability": 0.2,
        "replace_probability": 0.5,
        "average_last": 0.9,
        "epochs": 6,
    },
    "early": {"patience": 2, "epochs": 6},
    "bfloat16": {"precision": "bfloat16"},
    "taught": {
        "distillation": 0.5,
        "join_probability": 0.3,
        "unknown_probability": 0.2,
        "epochs": 4,
    },
}
UNLABELLED = ("Aspirin caused fever. No headache in the study.", "Severe fever and no aspirin.")
SCORES = [0.1, 0.5, 0.3, 0.4, 0.9, 0.9]  # patience 2 stops after the fourth, the second is best


class Killed(BaseException):
    pass


def weights(model):
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def train(tiny_bert, documents, recipe, folder=None, killed_after=None, every=2, teaching=None):
    steps = []

    def on_step(report):
        steps.append(report)
        if report.step == killed_after:
            raise Killed

    return steps, lambda: fine_tune(
        tiny_bert,
        documents,
        LABELS,
        recipe,
        on_step=on_step,
        on_epoch=lambda epoch, model: SCORES[epoch],
        checkpoints=folder and Checkpoints(folder, {"recipe": dataclasses.asdict(recipe)}, every),
        teaching=teaching,
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("killed_after", "goes_on_at"), [(8, 7), (2, 1), (11, 11)])
def test_resumed_equals_unbroken(
    tiny_bert, tiny_documents, tiny_package, tmp_path, shape, killed_after, goes_on_at
):
    recipe = dataclasses.replace(RECIPE, **SHAPES[shape])
    teaching = Teaching((tiny_package,), UNLABELLED) if recipe.distillation else None
    _, run = train(tiny_bert, tiny_documents, recipe, teaching=teaching)
    unbroken = run()
    work = tmp_path / "work"
    _, run = train(tiny_bert, tiny_documents, recipe, work, killed_after, teaching=teaching)
    with pytest.raises(Killed):
        run()
    steps, run = train(tiny_bert, tiny_documents, recipe, work, teaching=teaching)
    resumed = run()
    assert steps[0].step == goes_on_at or recipe.join_probability
    assert torch.equal(weights(resumed.model), weights(unbroken.model))
    assert resumed.best_epoch == unbroken.best_epoch == (1 if shape == "early" else None)


def test_the_best_epoch_is_kept_and_training_ends_early(tiny_bert, tiny_documents):
    early = dataclasses.replace(RECIPE, patience=2, epochs=6)
    seen = {}

    def on_epoch(epoch, model):
        seen[epoch] = weights(model).clone()
        return SCORES[epoch]

    done = fine_tune(tiny_bert, tiny_documents, LABELS, early, on_epoch=on_epoch)
    assert list(seen) == [0, 1, 2, 3]
    assert done.best_epoch == 1
    assert torch.equal(weights(done.model), seen[1])


def test_checkpoints_of_another_training_are_refused(tmp_path):
    folder = tmp_path / "work"
    tensors = {"a": torch.ones(2)}
    Checkpoints(folder, {"corpus": "one", "epochs": 3}).save(4, {"epoch": 1}, tensors)
    state = Checkpoints(folder, {"corpus": "one", "epochs": 3}).load()
    assert state.values == {"epoch": 1}
    assert torch.equal(state.tensors["a"], tensors["a"])
    with pytest.raises(InputError, match="another training: corpus was 'one', now 'two'; give"):
        Checkpoints(folder, {"corpus": "two", "epochs": 3}).load()
    assert Checkpoints(tmp_path / "none", {}).load() is None


def test_a_damaged_checkpoint_is_refused_and_half_a_one_does_not_count(tmp_path):
    folder = tmp_path / "work"
    checkpoints = Checkpoints(folder, {})
    checkpoints.save(1, {"epoch": 1}, {"a": torch.ones(2)})
    # Killed before the state was replaced: the tensors of step 2 are there and are not read.
    (folder / "step-2.safetensors").write_bytes(b"half")
    assert checkpoints.load().values == {"epoch": 1}
    (folder / "step-1.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="cannot be read"):
        checkpoints.load()
    (folder / "state.json").write_text(json.dumps({"format_version": 9}))
    with pytest.raises(InputError, match="cannot be read"):
        checkpoints.load()


def test_only_the_last_state_and_the_best_weights_are_kept(tiny_bert, tiny_documents, tmp_path):
    recipe = dataclasses.replace(RECIPE, patience=2, epochs=6)
    steps, run = train(tiny_bert, tiny_documents, recipe, tmp_path / "work")
    run()
    names = sorted(path.name for path in (tmp_path / "work").iterdir())
    assert names == ["best-1.safetensors", "state.json", f"step-{steps[-1].step}.safetensors"]
