"""What all tests share: hypothesis's profile, the real photos, the algorithms to test."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import fastconv

# Whichever test loads Keras first: with this backend beside PyTorch, without TensorFlow.
if importlib.util.find_spec("torch") is not None:
    os.environ.setdefault("KERAS_BACKEND", "torch")

# A shared machine may stall for seconds: neither a slow example nor a slow draw is a failure.
settings.register_profile(
    "fastconv",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fastconv")

# A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

_set_fast_math = getattr(fastconv, "set_fast_math", None)


@pytest.fixture(autouse=True)
def _same_draws_every_time():
    """Let each test draw the same weights in every run: where a maximum is a near tie, few do."""
    fastconv.utils.set_random_seed(1)


@pytest.fixture(scope="module", params=["direct"] if _set_fast_math is None else ["direct", "fast"])
def algorithms(request):
    """Run a module's tests on the direct algorithms and, where there are any, on the fast ones.

    Used with `pytestmark = pytest.mark.usefixtures("algorithms")`.
    """
    if _set_fast_math is None:
        yield request.param
        return
    _set_fast_math(request.param == "fast")
    yield request.param
    _set_fast_math(True)


@pytest.fixture
def dog_vs_cat() -> Path:
    """The chapter's photos, a zip or a folder, or a skip where they are not at hand."""
    path = os.environ.get("FASTCONV_DOG_VS_CAT", "")
    if not path or not Path(path).exists():
        pytest.skip("FASTCONV_DOG_VS_CAT does not name the chapter's photos")
    return Path(path)


@pytest.fixture
def threads():
    """`fastconv.set_num_threads`, put back after the test."""
    before = fastconv.get_num_threads()
    yield fastconv.set_num_threads
    fastconv.set_num_threads(before)
