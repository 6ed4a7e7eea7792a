"""Batches: of arrays, of sequences and generators, in the order that a run sees them."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.training.batches import ArrayBatches, as_batch
from fastconv.training.streams import split_validation, stream_of

X = np.arange(10, dtype=np.float32)[:, None]
Y = np.arange(10)


class Passes:
    """A sequence of three batches that notes what is asked of it."""

    def __init__(self):
        self.calls = []
        self.epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.calls.append((self.epoch, index))
        return np.full((2, 1), 10 * self.epoch + index), np.zeros(2)

    def set_epoch(self, epoch):
        self.epoch = epoch

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


def _firsts(stream):
    return [int(batch.x[0, 0]) for batch in stream.take()]


def test_arrays_in_order_with_a_short_last_batch():
    batches = list(stream_of(X, Y, batch_size=4, owner="m").take())
    assert [len(batch.x) for batch in batches] == [4, 4, 2]
    assert np.concatenate([batch.y for batch in batches]).tolist() == list(range(10))


def test_shuffling_depends_on_seed_and_pass_alone():
    def order(seed, epoch):
        batches = ArrayBatches(X, Y, batch_size=3, seed=seed)
        batches.set_epoch(epoch)
        return np.concatenate([batches[i][1] for i in range(len(batches))]).tolist()

    assert sorted(order(1, 0)) == list(range(10))
    assert order(1, 0) == order(1, 0) != order(1, 1) and order(2, 0) != order(1, 0)


def test_shuffled_rows_stay_with_their_labels_and_weights():
    for x in (X, X.astype(np.uint8), X.astype(np.float64)):
        stream = stream_of(x, Y, Y / 10, batch_size=4, seed=0, owner="m")
        for batch in stream.take():
            assert batch.x.dtype == np.float32 and batch.x.flags.c_contiguous
            assert np.array_equal(batch.x[:, 0], batch.y)
            assert np.array_equal(batch.sample_weight, batch.y / 10)


def test_a_sequence_is_told_its_pass():
    sequence = Passes()
    stream = stream_of(sequence, owner="m")
    assert _firsts(stream) == [0, 1, 2] and _firsts(stream) == [10, 11, 12]


def test_steps_let_passes_flow_into_each_other():
    stream = stream_of(Passes(), steps=2, owner="m")
    assert [_firsts(stream) for _ in range(3)] == [[0, 1], [2, 10], [11, 12]]


def test_a_stream_goes_on_from_its_state():
    first = stream_of(Passes(), steps=2, owner="m")
    _firsts(first)
    second = stream_of(Passes(), steps=2, owner="m")
    second.set_state(first.get_state())
    assert _firsts(second) == _firsts(first) == [2, 10]
    arrays = stream_of(X, Y, batch_size=5, seed=3, owner="m")
    _firsts(arrays)
    other = stream_of(X, Y, batch_size=5, seed=99, owner="m")
    other.set_state(arrays.get_state())
    assert _firsts(other) == _firsts(arrays)


def test_a_used_iterator_goes_on_and_a_fresh_one_starts_where_the_run_does():
    used = Passes()
    used.set_epoch(4)
    stream = stream_of(used, owner="m")
    stream.begin()
    assert _firsts(stream) == [40, 41, 42]
    fresh = stream_of(Passes(), start=2, owner="m")
    fresh.begin()
    assert _firsts(fresh) == [20, 21, 22]


def test_validation_passes_do_not_count():
    sequence = Passes()
    stream = stream_of(sequence, owner="m")
    assert [int(b.x[0, 0]) for b in stream.one_pass()] == [0, 1, 2]
    assert stream.get_state()["pass"] == 0


def test_generators_are_drawn_from_as_needed():
    numbers = iter([(np.full((1, 1), i), np.zeros(1)) for i in range(5)])
    stream = stream_of(numbers, steps=2, owner="m")
    assert stream.peek().x[0, 0] == 0
    assert _firsts(stream) == [0, 1] and _firsts(stream) == [2, 3]
    with pytest.raises(ValueError, match="ended after 1 of 2 batches"):
        _firsts(stream)
    endless = stream_of(iter([(X, Y)]), owner="m")
    assert len(list(endless.one_pass())) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((None,), {}, ValueError, "x is None; it must be an array, with y, or a"),
        ((X, Y[:3]), {}, ValueError, "x has 10 rows and y has 3"),
        ((np.zeros((0, 2)),), {}, ValueError, "at least one row"),
        ((np.array(["a"]),), {}, TypeError, "it must be of numbers"),
        (([[1, 2], [3]],), {}, ValueError, "m: x is a list whose rows differ in shape"),
        ((X, [[1], [2, 3]]), {}, ValueError, "m: y is a list whose rows differ in shape"),
        (
            (X, Y, ["a"] * 10),
            {},
            TypeError,
            "m: sample_weight has dtype <U1; it must be of numbers",
        ),
        ((X, Y, [[1], [2, 3]]), {}, ValueError, "m: sample_weight is a list whose rows differ"),
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size is 0"),
        ((X, Y), {"steps": float("nan")}, TypeError, "steps is nan"),
        ((Passes(), Y), {}, ValueError, "y is given with a batch iterator; it must be left out"),
        (({"x": X},), {}, TypeError, "one input"),
    ],
)
def test_mistakes_are_named(arguments, options, error, text):
    with pytest.raises(error, match=text):
        stream_of(*arguments, **options, owner="m")


def test_what_an_iterator_may_give():
    assert as_batch(X, "m").y is None and as_batch((X, Y), "m").sample_weight is None
    with pytest.raises(ValueError, match="gave 4 values"):
        as_batch((X, Y, Y, Y), "m")


def test_validation_is_the_last_rows():
    (x, y, w), (vx, vy, vw) = split_validation(0.3, X, Y, None, "m")
    assert y.tolist() == list(range(7)) and vy.tolist() == [7, 8, 9]
    assert len(x) == 7 and len(vx) == 3 and w is vw is None
    for fraction, text in (
        (1.5, "between 0 and 1"),
        (0.999, "it must leave rows in both parts, of 5"),
    ):
        with pytest.raises(ValueError, match=text):
            split_validation(fraction, X[:5], Y[:5], None, "m")
    with pytest.raises(ValueError, match="it must be left out with a batch iterator"):
        split_validation(0.2, Passes(), None, None, "m")


def test_a_list_of_arrays_is_the_parts_of_a_batch():
    batch = as_batch([X, Y], "m")
    assert batch.x.shape == (10, 1) and batch.y is Y
    assert as_batch([X], "m").y is None
    assert as_batch([[1.0, 2.0], [3.0, 4.0]], "m").x.shape == (2, 2)  # rows
    assert as_batch((X, [Y]), "m").y is Y and as_batch(([X], Y), "m").x.shape == (10, 1)
    with pytest.raises(TypeError, match="gave a dict with image, label"):
        as_batch({"image": X, "label": Y}, "m")
