"""Arrays and batches as PyTorch, JAX, TensorFlow and Python's buffers have them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

import fastconv
from fastconv import ops
from fastconv._core.validation import any_array, float_array

X, Y = photos(12)
KERNEL = np.random.default_rng(0).standard_normal((3, 3, X.shape[-1], 4)).astype(np.float32)


def trained(x, y=None, **arguments):
    fastconv.utils.set_random_seed(5)
    model = convnet(dropout=0.0)
    model.fit(x, y, epochs=2, verbose=0, shuffle=False, **arguments)
    return model


def torch_tensor():
    return pytest.importorskip("torch", reason="makes PyTorch's tensors").from_numpy


def jax_array():
    return pytest.importorskip("jax.numpy", reason="makes JAX's arrays").asarray


@pytest.fixture(scope="module")
def tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("tensorflow", reason="makes TensorFlow's tensors and data sets")


def takes_arrays_of(made):
    """Everything that takes an array gives the same bits for one of another library."""
    x, y = made(X), made(Y)
    model = trained(X, Y)
    assert same_weights(trained(x, y), model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(X, verbose=0))
    np.testing.assert_array_equal(model.predict_on_batch(x), model.predict_on_batch(X))
    np.testing.assert_array_equal(model(x), model(X))
    assert model.evaluate(x, y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert model.test_on_batch(x, y) == model.test_on_batch(X, Y)
    assert trained(X, Y).train_on_batch(x, y) == trained(X, Y).train_on_batch(X, Y)
    weights = np.linspace(0, 2, 12, dtype=np.float32)
    expected = trained(X, Y, sample_weight=weights, validation_data=(X, Y))
    given = trained(x, y, sample_weight=made(weights), validation_data=(x, y))
    assert same_weights(given, expected)
    kernel, bias = made(KERNEL), made(np.ones(4, np.float32))
    out = ops.conv2d(X, KERNEL, np.ones(4, np.float32), padding="same")
    np.testing.assert_array_equal(ops.conv2d(x, kernel, bias, padding="same"), out)
    for ours, theirs in zip(
        ops.conv2d_backward(made(out), x, kernel, padding="same"),
        ops.conv2d_backward(out, X, KERNEL, padding="same"),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    pooled = ops.max_pool2d(X)
    np.testing.assert_array_equal(ops.max_pool2d(x), pooled)
    np.testing.assert_array_equal(
        ops.max_pool2d_backward(made(pooled), x), ops.max_pool2d_backward(pooled, X)
    )
    with pytest.raises(TypeError, match="x has dtype int32; it must be float32 or float64; use "):
        ops.max_pool2d(made(np.ones((1, 4, 4, 1), np.int32)))


@pytest.mark.parametrize("library", [torch_tensor, jax_array, lambda: memoryview])
def test_arrays(library):
    takes_arrays_of(library())


def test_tensorflows_tensors(tensorflow):
    takes_arrays_of(tensorflow.constant)
    with pytest.raises(TypeError, match="x has dtype bfloat16; it must be float32 or float64"):
        ops.max_pool2d(tensorflow.cast(X, tensorflow.bfloat16))


def test_views_that_are_taken_without_a_copy():
    own = any_array(memoryview(X), "x", "fit")
    assert np.shares_memory(own, X)
    tensor = torch_tensor()(X.transpose(0, 3, 1, 2).copy())
    torch = pytest.importorskip("torch", reason="makes PyTorch's tensors")
    last = tensor.contiguous(memory_format=torch.channels_last)
    view = float_array(last.permute(0, 2, 3, 1), "x", "conv2d", 4)
    assert view.ctypes.data == last.data_ptr() and view.flags.c_contiguous
    np.testing.assert_array_equal(view, X)
    assert any_array(last.permute(0, 2, 3, 1), "x", "fit").ctypes.data == last.data_ptr()
    jnp = pytest.importorskip("jax.numpy", reason="makes JAX's arrays")
    array = jnp.asarray(X)
    assert float_array(array, "x", "conv2d", 4).ctypes.data == np.asarray(array).ctypes.data


def test_what_a_tensor_must_not_be():
    torch = pytest.importorskip("torch", reason="makes PyTorch's tensors")
    model, tensor = convnet(), torch.from_numpy(X)
    for given, text in [
        (tensor.clone().requires_grad_(), r"requires a gradient, .* give x\.detach\(\)"),
        (tensor.to("meta"), "is on the device 'meta', which keeps no values"),
        (tensor.to_sparse(), r"is sparse \(torch\.sparse_coo\); give x\.to_dense\(\)"),
    ]:
        for call in (model.predict, model.predict_on_batch, ops.max_pool2d):
            with pytest.raises(TypeError, match=text):
                call(given)
    with pytest.raises(TypeError, match=r"bfloat16; it must be float32 or .* use x\.float\(\)"):
        ops.max_pool2d(tensor.bfloat16())
    with pytest.raises(TypeError, match=r"float16; it must be float32 or .* use x\.float\(\)"):
        ops.max_pool2d(tensor.half())

    class OnAnotherDevice:  # as a tensor says of itself that is on a graphics card
        requires_grad, device, dtype = False, torch.device("cuda:0"), torch.float32

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("is asked for its device first")

    for call in (model.predict, ops.max_pool2d):
        with pytest.raises(TypeError, match=r"is on the device 'cuda:0'; give x\.cpu\(\)"):
            call(OnAnotherDevice())


def test_bfloat16_holds_no_value_that_float32_does_not():
    small = X.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    small = small.view(np.float32)
    model = convnet()
    expected = model.predict(small, verbose=0)
    tensor = torch_tensor()(small).bfloat16()
    np.testing.assert_array_equal(model.predict(tensor, verbose=0), expected)
    jnp = pytest.importorskip("jax.numpy", reason="makes JAX's arrays")
    array = jnp.asarray(small, jnp.bfloat16)
    np.testing.assert_array_equal(model.predict(array, verbose=0), expected)


def test_pytorchs_batches():
    torch = pytest.importorskip("torch", reason="makes PyTorch's own loaders")
    data = torch.utils.data
    tensors = torch.from_numpy(X), torch.from_numpy(Y)
    expected = trained(X, Y, batch_size=4)
    pairs = data.TensorDataset(*tensors)
    loader = data.DataLoader(pairs, 4)
    assert same_weights(trained(loader), expected)
    fastconv.utils.set_random_seed(5)
    model = convnet(dropout=0.0)
    name, output = model.input_names[0], model.output_names[0]
    by_name = data.DataLoader([{name: x, output: y} for x, y in pairs], 4)
    model.fit(by_name, epochs=2, verbose=0, validation_data=by_name)
    assert same_weights(model, expected)
    images = data.DataLoader([{name: x} for x, _ in pairs], 5)
    np.testing.assert_allclose(
        model.predict(images, verbose=0), model.predict(X, verbose=0), atol=1e-6
    )
    other = data.DataLoader([{"image": x, "label": y} for x, y in pairs], 4)
    with pytest.raises(TypeError, match=r"gave a dict with image, label; .* names of the model's"):
        model.fit(other, verbose=0)
    turned = data.DataLoader(data.TensorDataset(tensors[0].permute(0, 3, 1, 2), tensors[1]), 4)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match=r"tensors x\.permute\(0, 2, 3, 1\)"):
            call(turned, verbose=0)
    with pytest.raises(ValueError, match=r"at least one row; make batches of single rows"):
        model.fit(data.TensorDataset(tensors[0], tensors[1].flatten()), verbose=0)


def test_the_channel_axis_is_named_where_sizes_are_open():
    model = fastconv.Sequential(
        [
            fastconv.layers.Input((None, None, 3)),
            fastconv.layers.Conv2D(2, 3),
            fastconv.layers.GlobalAveragePooling2D(),
        ]
    )
    with pytest.raises(ValueError, match="move the channel axis to the end"):
        model.predict(np.zeros((2, 3, 8, 9), np.float32), verbose=0)
    with pytest.raises(ValueError, match="add the batch axis"):
        model.predict(np.zeros((8, 9, 3), np.float32), verbose=0)


def test_tensorflows_data_sets(tensorflow):
    whole = tensorflow.data.Dataset.from_tensor_slices((X, Y))
    batches = whole.batch(4)
    expected = trained(X, Y, batch_size=4)
    assert same_weights(trained(batches), expected)
    assert same_weights(trained(batches.filter(lambda x, y: True)), expected)  # of no known length
    assert same_weights(trained(batches.repeat(), steps_per_epoch=3), expected)
    assert same_weights(trained(batches, validation_data=batches), expected)
    np.testing.assert_allclose(
        expected.predict(batches, verbose=0), expected.predict(X, verbose=0), atol=1e-6
    )
    assert expected.evaluate(batches, verbose=0) == pytest.approx(
        expected.evaluate(X, Y, batch_size=4, verbose=0)
    )
    endless = batches.repeat()
    for call, argument in [
        (lambda: expected.fit(endless), "steps_per_epoch"),
        (lambda: expected.evaluate(endless), "steps"),
        (lambda: expected.predict(endless), "steps"),
        (lambda: expected.fit(batches, validation_data=endless), "validation_steps"),
    ]:
        with pytest.raises(ValueError, match=f": {argument} is None; .* has no end"):
            call()
    with pytest.raises(ValueError, match="make batches of single rows"):
        expected.fit(tensorflow.data.Dataset.from_tensor_slices((X, Y.ravel())), verbose=0)


def test_labels_of_pandas():
    pandas = pytest.importorskip("pandas", reason="makes columns")
    column = pandas.Series(Y.ravel(), index=range(50, 62))
    assert same_weights(trained(X, column.to_frame("dog")), trained(X, Y))
    assert same_weights(trained(X, column), trained(X, Y.ravel()))
    with pytest.raises(TypeError, match=r"names of classes give numpy\.unique"):
        trained(X, pandas.Series(["cat", "dog"] * 6, dtype="category"))
