"""Streams: every kind of data that `fit`, `evaluate` and `predict` take, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

from fastconv.callbacks import Callback
from fastconv.training.streams import IterableStream, is_batch_iterator, stream_of

X, Y = photos(12)


class Loader:
    """Goes through the photos anew with every `iter`, as a DataLoader without shuffling."""

    def __init__(self, as_list=False):
        self.passes = 0
        self.as_list = as_list

    def __iter__(self):
        self.passes += 1
        for start in range(0, 12, 4):
            part = X[start : start + 4], Y[start : start + 4]
            yield list(part) if self.as_list else part


class SizedLoader(Loader):
    def __len__(self):
        return 3


class OldIterator:
    """An iterator of batches with an index, a length and `next`; every batch is drawn once."""

    def __init__(self):
        self.drawn = []
        self.ended = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.drawn.append(index)
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]

    def __next__(self):
        return self[len(self.drawn) % 3]

    def on_epoch_end(self):
        self.ended += 1


def trained(data, epochs=2, **arguments):
    """Return a model, always of the same first weights, after training on `data`."""
    import fastconv

    fastconv.utils.set_random_seed(5)
    model = convnet(dropout=0.0)
    model.fit(data, epochs=epochs, verbose=0, **arguments)
    return model


@pytest.mark.parametrize("kind", [Loader, SizedLoader])
@pytest.mark.parametrize("as_list", [False, True])
def test_what_can_be_gone_through_again_is_batches(kind, as_list):
    expected = trained(OldIterator())
    loader = kind(as_list)
    model = trained(loader)
    assert same_weights(model, expected) and loader.passes == 2
    whole = expected.predict(X, verbose=0)
    np.testing.assert_allclose(model.predict(kind(as_list), verbose=0), whole, atol=1e-6)
    assert model.evaluate(kind(as_list), verbose=0) == pytest.approx(
        expected.evaluate(X, Y, batch_size=4, verbose=0)
    )


def test_a_pytorch_loader():
    torch = pytest.importorskip("torch", reason="makes PyTorch's own loader")
    data = torch.utils.data
    dataset = data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    loader = data.DataLoader(dataset, batch_size=4)
    model = trained(loader, validation_data=loader)
    assert same_weights(model, trained(OldIterator()))
    assert model.predict(loader, verbose=0).shape == (12, 1)

    class Endless(data.IterableDataset):
        def __iter__(self):
            return iter(dataset[i] for i in range(12))

    assert same_weights(trained(data.DataLoader(Endless(), batch_size=4)), model)
    turned = data.DataLoader(data.TensorDataset(torch.from_numpy(X).permute(0, 3, 1, 2)))
    with pytest.raises(ValueError, match=r"move the channel axis to the end: numpy\.moveaxis"):
        model.predict(turned, verbose=0)
    gradient = torch.from_numpy(X).requires_grad_()
    with pytest.raises(TypeError, match=r"predict: x is a Tensor that requires .* x\.detach"):
        model.predict(gradient, verbose=0)


def test_steps_flow_into_the_next_pass():
    loader = Loader()
    model = trained(loader, epochs=3, steps_per_epoch=2)
    assert model.optimizer.iterations == 6 and loader.passes == 2
    assert same_weights(model, trained(Loader(), epochs=2))


def test_what_resets_itself_is_gone_through_again():
    class Resetting:
        def __iter__(self):
            self.left = 3
            return self

        def __len__(self):
            return 3

        def __next__(self):
            if not self.left:
                raise StopIteration
            self.left -= 1
            return X[:4], Y[:4]

    assert trained(Resetting()).optimizer.iterations == 6


def test_an_epoch_that_is_stopped_does_not_shorten_the_next():
    class Stop(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    model, loader = convnet(), Loader()
    model.fit(loader, callbacks=[Stop()], verbose=0)
    model.fit(loader, verbose=0)
    assert model.optimizer.iterations == 4


@pytest.mark.parametrize("data", [OldIterator, Loader])
def test_every_batch_is_drawn_once(data):
    train, validation = data(), OldIterator()
    trained(train, epochs=2, validation_data=validation)
    assert validation.drawn == [0, 1, 2] * 2
    if data is OldIterator:
        assert train.drawn == [0, 1, 2] * 2 and train.ended == 2
    else:
        assert train.passes == 2
    measured = OldIterator()
    convnet().evaluate(measured, verbose=0)
    assert measured.drawn == [0, 1, 2]


def test_generators_are_drawn_from_once_a_batch():
    drawn = []

    def endless():
        while True:
            drawn.append(1)
            yield X[:4], Y[:4]

    trained(endless(), steps_per_epoch=2, epochs=2)
    assert len(drawn) == 4


def test_a_batch_seen_before_is_of_the_pass_it_is_used_in():
    class Told(OldIterator):
        epoch = 0

        def set_epoch(self, epoch):
            self.epoch = epoch

        def get_state(self):
            return {"epoch": self.epoch}

        def __getitem__(self, index):
            self.drawn.append((self.epoch, index))
            return X[:4], Y[:4]

    data = Told()
    trained(data, epochs=4, initial_epoch=3)
    assert data.drawn[-3:] == [(3, 0), (3, 1), (3, 2)]
    data = Told()
    trained(data, epochs=1)
    assert data.drawn == [(0, 0), (0, 1), (0, 2)]


def test_lists_of_the_one_input():
    model = convnet(dropout=0.0)
    expected = model.predict(X, verbose=0)
    for given in ([X], (X,)):
        np.testing.assert_array_equal(model.predict(given, verbose=0), expected)
        np.testing.assert_array_equal(model.predict_on_batch(given), model.predict_on_batch(X))
    assert len(model.predict([X[0], X[1]], verbose=0)) == 2  # rows
    assert len(model.predict([X[0]], verbose=0)) == 1
    model.fit([X], [Y], validation_data=([X], [Y]), verbose=0)
    model.fit([X], Y, sample_weight=[np.ones(12)], verbose=0)
    assert model.evaluate([X], Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    model.train_on_batch([X], [Y])
    with pytest.raises(ValueError, match="predict: x is a list of 2 arrays; it must be one"):
        model.predict([X, X], verbose=0)


def test_dlpack_alone():
    class Foreign:
        def __dlpack__(self, **options):
            return X.__dlpack__(**options)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    assert not is_batch_iterator(Foreign())
    assert len(convnet().predict(Foreign(), verbose=0)) == 12


def _batches():
    yield X, Y


def _none():
    return
    yield


class _Once:
    """Whose `iter` is always the same, used-up iterator."""

    def __init__(self):
        self.batches = iter([(X, Y)])

    def __iter__(self):
        return self.batches


class _Parts:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return {"image": X, "label": Y}


@pytest.mark.parametrize(
    ("data", "arguments", "error", "text"),
    [
        (
            _batches,
            {},
            TypeError,
            r"x is _batches itself; it must be its batches; call it: _batches\(",
        ),
        (Loader, {}, TypeError, r"x is Loader itself; .* call it: Loader\("),
        (_none(), {"steps_per_epoch": 1}, ValueError, "the generator gave no batch"),
        (iter([]), {"steps_per_epoch": 1}, ValueError, "gave no batch"),
        (set(), {}, ValueError, "the set gave no batch"),
        (_batches(), {}, ValueError, "steps_per_epoch is None; it must be given with"),
        (_batches(), {"steps_per_epoch": 2}, ValueError, "ended after 1 of 2 batches"),
        (_Once(), {"epochs": 2}, ValueError, "_Once gave no batch"),
        ("photos", {}, TypeError, "x is 'photos'; it must be arrays or batches; for a folder"),
        (b"photos", {}, TypeError, "x is b'photos'; it must be arrays or batches"),
        ({"x": X}, {}, ValueError, "x has 'x'; it must have '.*_input'"),
        (_Parts(), {}, TypeError, "the iterator gave a dict with image, label"),
        (OldIterator(), {"batch_size": 4}, ValueError, "batch_size is given with a batch iterator"),
        (Loader(), {"y": Y}, ValueError, "y is given with a batch iterator"),
        (
            Loader(),
            {"validation_split": 0.5},
            ValueError,
            "validation_split is 0.5; it must be left out",
        ),
        (Loader(), {"steps_per_epoch": float("inf")}, TypeError, "steps_per_epoch is inf"),
        (Loader(), {"steps_per_epoch": 0}, ValueError, "steps_per_epoch is 0"),
    ],
)
def test_other_data_are_refused_by_name(data, arguments, error, text):
    with pytest.raises(error, match=f"fit: .*{text}"):
        convnet().fit(data, **{"verbose": 0, **arguments})


def test_sparse_and_masked_arrays_are_refused():
    sparse = pytest.importorskip("scipy.sparse", reason="makes sparse matrices")
    matrix = sparse.csr_matrix(np.eye(3))
    model = convnet()
    with pytest.raises(TypeError, match=r"x is a csr_matrix, a sparse matrix; .*x\.toarray\(\)"):
        model.fit(matrix, np.zeros(3), verbose=0)
    with pytest.raises(TypeError, match=r"y is a csr_array, a sparse matrix"):
        model.fit(X, sparse.csr_array(Y[:, None]), verbose=0)
    masked = np.ma.masked_array(X, X > 1)
    with pytest.raises(ValueError, match="x is a masked array, whose mask would be lost"):
        model.predict(masked, verbose=0)
    assert len(model.predict(np.ma.masked_array(X), verbose=0)) == 12


def test_a_state_belongs_to_no_pass_of_an_iterable():
    stream = stream_of(Loader(), owner="m")
    assert isinstance(stream, IterableStream) and stream.steps is None and not stream.needs_steps
    assert stream_of(SizedLoader(), owner="m").steps == 3
    stream.set_state(stream.get_state())
    assert len(list(stream.take())) == len(list(stream.one_pass())) == 3
