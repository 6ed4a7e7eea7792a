"""ONNX's own tests of backends, and what else a backend promises."""

from __future__ import annotations

import collections
import unittest
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx.checker", reason="onnx is not installed")
import onnx
from onnx import helper

import fastconv

#: The least of ONNX's cases of an operator that must run, of those with images or vectors.
LEAST = {
    "AveragePool": 14, "BatchNormalization": 3, "Conv": 12, "ConvTranspose": 6, "Gemm": 6,
    "GlobalAveragePool": 2, "GlobalMaxPool": 2, "LpPool": 3, "MaxPool": 10, "PRelu": 1,
    "Resize": 3, "Flatten": 2, "Softmax": 4, "Relu": 2, "Concat": 6, "Pad": 1,
}  # fmt: skip


def test_onnx_own_tests_pass_or_are_refused_by_name():
    """All of its nodes and small networks: none gives a wrong number or another error."""
    runner = pytest.importorskip("onnx.backend.test.runner")
    passed: collections.Counter[str] = collections.Counter()

    def refused(error: Exception) -> Exception:
        assert str(error)
        return runner.BackendIsNotSupposedToImplementIt(str(error))

    class Tried(fastconv.onnx.backend):
        @classmethod
        def prepare(cls, model: Any, device: str = "CPU", **options: Any) -> Any:
            try:
                prepared = super().prepare(model, device, **options)
            except NotImplementedError as error:
                raise refused(error) from error
            return _Counted(prepared, [node.op_type for node in model.graph.node])

    class _Counted:
        def __init__(self, prepared: Any, kinds: list[str]) -> None:
            self._prepared, self._kinds = prepared, kinds

        def run(self, inputs: Any) -> Any:
            try:
                outputs = self._prepared.run(inputs)
            except NotImplementedError as error:
                raise refused(error) from error
            passed.update(set(self._kinds))
            return outputs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ONNX's making of its cases
        import onnx.backend.test

        tests = onnx.backend.test.BackendTest(Tried, __name__)
        tests.exclude("_cuda$")
        result = unittest.TestResult()
        tests.test_suite.run(result)
    assert result.testsRun > 1000
    assert not result.failures + result.errors, (result.failures + result.errors)[0][1]
    few = {kind: passed[kind] for kind, least in LEAST.items() if passed[kind] < least}
    assert not few


def test_a_node_runs_in_the_layout_of_the_file():
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2], strides=[1, 2])
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    [y] = fastconv.onnx.backend.run_node(node, [x])
    np.testing.assert_array_equal(y, x[..., 1::2])


def test_weights_may_come_in_and_change():
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "g",
        [
            helper.make_tensor_value_info("x", 1, [2, 1, 4, 4]),
            helper.make_tensor_value_info("w", 1, [1, 1, 1, 1]),
        ],
        [helper.make_tensor_value_info("y", 1, [2, 1, 4, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    prepared = fastconv.onnx.backend.prepare(model)
    x = np.ones((2, 1, 4, 4), np.float32)
    for factor in (2.0, 3.0, 3.0):
        w = np.full((1, 1, 1, 1), factor, np.float32)
        assert prepared.run({"x": x, "w": w}).y[0, 0, 0, 0] == factor
    with pytest.raises(ValueError, match="the graph has"):
        prepared.run([x])
    with pytest.raises(NotImplementedError, match="of float64"):
        prepared.run([x.astype(float), w])


def test_what_is_not_there_is_refused_by_name():
    node = helper.make_node("Sin", ["x"], ["y"])
    with pytest.raises(NotImplementedError, match="no layer is Sin"):
        fastconv.onnx.backend.run_node(node, [np.ones((1, 2), np.float32)])
    assert not fastconv.onnx.backend.supports_device("CUDA")
    assert fastconv.onnx.backend.supports_device("CPU")
    assert issubclass(fastconv.onnx.backend, onnx.backend.base.Backend)
