"""`clear_session`: names begin anew, and nothing is kept between calls."""

from __future__ import annotations

import numpy as np

import fastconv
from fastconv import ops
from fastconv.layers import Conv2D
from fastconv.ops.kept_plans import plans
from fastconv.ops.results import memory


def test_it_lets_go_of_all_that_is_kept():
    assert fastconv.backend.clear_session is fastconv.utils.clear_session
    fastconv.utils.clear_session()
    x, kernel = np.ones((8, 128, 128, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)
    ops.conv2d(x, kernel)
    Conv2D(1, 1)
    assert len(plans) and plans.nbytes and memory.nbytes
    fastconv.utils.clear_session()
    assert not (len(plans) or plans.nbytes or memory.nbytes)
    assert Conv2D(1, 1).name == "conv2d"


def test_results_in_use_stay_as_they_are():
    x, kernel = np.ones((4, 128, 128, 8), np.float32), np.ones((1, 1, 8, 8), np.float32)
    y = ops.conv2d(x, kernel)
    fastconv.utils.clear_session()
    assert (y == 8).all()
