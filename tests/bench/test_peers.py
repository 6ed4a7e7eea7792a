"""The peers' twins of a network compute what fastconv does."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from peer_networks import networks, task_of

contenders = pytest.importorskip("bench.contenders")
preparing = pytest.importorskip("bench.preparing")
worker = pytest.importorskip("bench.worker")

SIZES = (1, 3)
#: What compiles takes half a minute; its network is the eager one's.
ENTRIES = [entry for entry in contenders.NETWORK_PEERS if not entry.options.get("compiled")]


@pytest.fixture(autouse=True)
def benches(monkeypatch):
    """Processes that are started import the project's `bench`, not the folder of its tests."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def tasks():
    """Return each network's task, and fastconv's answers in both modes."""
    found = []
    for model in networks():
        task = task_of(model, SIZES[-1])
        outputs = {size: model.predict_on_batch(task.x[:size]).reshape(-1) for size in SIZES}
        losses = [float(np.ravel(model.train_on_batch(task.x, task.y))[0]) for _ in range(2)]
        training = {"outputs": {3: outputs[3]}, "loss": losses[0], "next loss": losses[1]}
        found.append((task, {"predict": {"outputs": outputs}, "train": training}))
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_a_peer_computes_what_fastconv_does(entry, tasks):
    if entry.missing:
        pytest.skip(entry.missing)
    for task, expected in tasks:
        files = preparing.Files(task, SIZES, threads=1)
        for mode in entry.modes:
            options = {"mode": mode, "batch_sizes": SIZES, **entry.options, **entry.exact}
            with worker.Worker(entry.label, entry.target, 1, **options) as peer:
                answer = peer.invoke("prepare", task, files.of(entry))
                preparing.check_same(entry.label, answer, expected[mode])
                operation, *_ = expected[mode]["outputs"] if mode == "predict" else (None,)
                name = "training step" if mode == "train" else f"prediction of {operation}"
                assert len(peer.time(name, calls=2)) == 2
                peer.invoke("restore")
                peer.invoke("facts")


def test_another_result_is_an_error_that_tells_the_difference():
    expected = {"outputs": {1: np.float32([0.5])}, "loss": 0.5, "next loss": 0.4}
    preparing.check_same("peer", {**expected, "next loss": 0.405}, expected)
    for wrong, message in (
        ({"outputs": {1: np.float32([0.501])}}, "prediction of 1 differs .* by 1.0e-03"),
        ({"outputs": {1: np.float32([0.5, 0.5])}}, "has shape"),
        ({"outputs": {1: np.float32([np.nan])}}, "differs .* by nan"),
        ({"loss": 0.501}, "peer: loss differs"),
        ({"next loss": 0.415}, "peer: next loss differs"),
    ):
        with pytest.raises(worker.ContenderError, match=message):
            preparing.check_same("peer", {**expected, **wrong}, expected)


def test_a_contender_that_fails_is_left_out_with_a_note(tasks, capsys):
    task, _ = tasks[0]
    absent = contenders.Entry("absent", "bench.no_such_module:Peer", "absent")
    with contextlib.ExitStack() as stack:
        ours = contenders.Entry("ours", "peer_networks:Answering", "ours")
        workers = preparing.prepared(task, "predict", SIZES, [ours, absent], 1, stack)
        assert [one.label for one in workers] == ["ours"]
    assert "note: left out, absent: ModuleNotFoundError" in capsys.readouterr().out


def test_what_is_not_exact_is_tried_again_as_exactly_as_it_can_be(tasks, capsys):
    task, _ = tasks[0]
    ours = contenders.Entry("ours", "peer_networks:Answering", "ours")
    peer = contenders.Entry(
        "peer", "peer_networks:Answering", "peer", options={"error": 1.0}, exact={"error": 0.0}
    )
    with contextlib.ExitStack() as stack:
        workers = preparing.prepared(task, "predict", SIZES, [ours, peer], 1, stack)
        assert [one.label for one in workers] == ["ours", "peer"]
    assert capsys.readouterr().out == ""
