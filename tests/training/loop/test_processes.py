"""Two processes that train one model are held against one process."""

import dataclasses
import os
import socket
import traceback

import pytest
import torch
from safetensors.torch import load_file, save_file

from training.fine_tuning.epochs import fine_tune
from training.loop.checkpoints import Checkpoints
from training.loop.processes import ONE_PROCESS, join_processes
from training.loop.resumption import Resumption
from training.recipes.recipe import Recipe

LABELS = ["Chemical", "Disease"]
# Without dropout nothing is random but the order of batches, which is drawn alike everywhere. The
# last batch of an epoch has one window: one of the two processes has none.
RECIPE = Recipe(
    epochs=3, learning_rate=0.01, max_wordpieces=32, overlap=8, dropout=0.0, batch_wordpieces=24
)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def in_two_processes(work):
    """Runs `work(processes)` in two forked processes that know each other."""
    port, children = free_port(), []
    for rank in (0, 1):
        child = os.fork()
        if child == 0:
            try:
                os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
                os.environ |= {"MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
                with join_processes() as processes:
                    work(processes)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def train(tiny_bert, documents, recipe, processes, checkpoints=None):
    return fine_tune(
        tiny_bert, documents, LABELS, recipe, checkpoints=checkpoints, processes=processes
    ).model.state_dict()


class Stopped(Exception):
    pass


def stop_after_an_epoch():
    """From now on every training of this process ends after its first epoch is saved."""
    after_epoch = Resumption.after_epoch

    def stopping(resumption, epoch, score):
        after_epoch(resumption, epoch, score)
        raise Stopped

    Resumption.after_epoch = stopping


def test_two_processes_give_what_one_gives(tiny_bert, tiny_documents, tmp_path):
    def work(processes):
        weights = train(tiny_bert, tiny_documents, RECIPE, processes)
        save_file(weights, tmp_path / f"{processes.rank}.safetensors")

    in_two_processes(work)
    one = train(tiny_bert, tiny_documents, RECIPE, ONE_PROCESS)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    for name, tensor in one.items():
        assert torch.equal(first[name], second[name])
        assert torch.allclose(first[name], tensor, atol=2e-4), name


def test_two_processes_go_on_with_their_own_random_numbers(tiny_bert, tiny_documents, tmp_path):
    recipe = dataclasses.replace(RECIPE, dropout=0.1)
    folder = tmp_path / "work"

    def unbroken_then_interrupted(processes):
        weights = train(tiny_bert, tiny_documents, recipe, processes)
        save_file(weights, tmp_path / f"unbroken-{processes.rank}.safetensors")
        stop_after_an_epoch()
        with pytest.raises(Stopped):
            train(tiny_bert, tiny_documents, recipe, processes, Checkpoints(folder, {}))

    def resumed(processes):
        weights = train(tiny_bert, tiny_documents, recipe, processes, Checkpoints(folder, {}))
        save_file(weights, tmp_path / f"resumed-{processes.rank}.safetensors")

    in_two_processes(unbroken_then_interrupted)
    in_two_processes(resumed)
    for rank in (0, 1):
        one, other = (
            load_file(tmp_path / f"{k}-{rank}.safetensors") for k in ("unbroken", "resumed")
        )
        assert all(torch.equal(one[name], other[name]) for name in one)
