"""Batches made in the background: the same ones, errors where they belong, threads that end."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from image_folders import write_folder

from fastconv.preprocessing.image import ImageDataGenerator, NumpyArrayIterator

AUGMENT = {"rotation_range": 40, "zoom_range": 0.2, "horizontal_flip": True}


def data(count=40):
    x = np.random.default_rng(0).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)
    return x, np.arange(count)


def flow(**options):
    x, y = data()
    return ImageDataGenerator(**AUGMENT).flow(x, y, batch_size=8, seed=3, **options)


def prefetch_threads():
    return [t for t in threading.enumerate() if t.name.startswith("fastconv-prefetch")]


def wait_until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
        gc.collect()  # an exception, its traceback and the iterator in it are a cycle


@pytest.fixture(autouse=True)
def no_threads_left():
    yield
    wait_until(lambda: not prefetch_threads())


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_batches_are_those_made_on_demand(depth):
    plain, ahead = flow(prefetch=0), flow(prefetch=depth)
    for _ in range(12):  # more than two epochs
        for (x1, y1), (x2, y2) in [(next(plain), next(ahead))]:
            np.testing.assert_array_equal(x1, x2)
            np.testing.assert_array_equal(y1, y2)
    for epoch in (5, 2):
        ahead.set_epoch(epoch)
        for step in (0, 1, 2, 4, 0, 3):
            np.testing.assert_array_equal(ahead[step][0], plain.batch(epoch, step)[0])
    for place in [(7, 3), (0, 4)]:
        ahead.seek(*place)
        np.testing.assert_array_equal(next(ahead)[0], plain.batch(*place)[0])


def test_it_works_ahead_within_its_bound():
    made = []

    class Noted(NumpyArrayIterator):
        def _make(self, epoch, step, threads):
            made.append((epoch, step, threading.current_thread().name))
            return super()._make(epoch, step, threads)

    iterator = Noted(*data(), ImageDataGenerator(), batch_size=8, seed=0, prefetch=2)
    iterator[0]
    time.sleep(0.05)
    assert [place[:2] for place in made] == [(0, 0)]  # a look at one batch makes no others
    iterator[0]
    wait_until(lambda: len(made) == 4)
    time.sleep(0.05)
    assert [place[:2] for place in made] == [(0, 0), (0, 0), (0, 1), (0, 2)]
    assert all(name.startswith("fastconv-prefetch") for *_, name in made[2:])
    iterator[1]
    wait_until(lambda: len(made) == 5)
    assert made[-1][:2] == (0, 3)


def test_another_seed_is_not_served_what_was_made_ahead():
    ahead, other = flow(prefetch=2), flow()
    other.seed = 8
    ahead[0], ahead[1]  # (0, 2) is being made
    ahead.set_state({"seed": 8, "epoch": 0, "step": 2})
    np.testing.assert_array_equal(next(ahead)[0], other.batch(0, 2)[0])
    ahead.close()


def test_nothing_runs_with_prefetch_off_or_one_batch_looked_at():
    iterator = flow(prefetch=0)
    for _ in range(7):
        next(iterator)
    flow(prefetch=3)[0]
    assert not prefetch_threads()


def test_an_error_comes_with_its_batch_and_names_the_image():
    calls = []

    def fail_late(image):
        calls.append(1)
        if len(calls) > 20:
            raise ZeroDivisionError("flat image")
        return image

    x, y = data()
    iterator = ImageDataGenerator(preprocessing_function=fail_late).flow(
        x, y, batch_size=8, shuffle=False, prefetch=2
    )
    next(iterator), next(iterator)
    with pytest.raises(RuntimeError, match=r"image 20 of x .* ZeroDivisionError: flat image"):
        next(iterator)


def test_an_error_in_a_file_names_it(tmp_path):
    folder = write_folder(tmp_path, {"a": 6, "b": 6})
    iterator = ImageDataGenerator().flow_from_directory(
        folder, (8, 8), batch_size=3, shuffle=False, cache=None, on_error="raise", prefetch=2
    )
    iterator[0], iterator[0]
    (folder / "b" / "b.5.jpg").write_bytes(b"broken")
    with pytest.raises(OSError, match=r"b\.5\.jpg"):
        for step in range(4):
            iterator[step]
    np.testing.assert_array_equal(iterator[0][0], iterator.batch(0, 0)[0])


def test_a_dropped_or_closed_iterator_ends_its_thread():
    iterator = flow(prefetch=2)
    next(iterator), next(iterator)
    assert len(prefetch_threads()) == 1
    del iterator
    wait_until(lambda: not prefetch_threads())
    iterator = flow(prefetch=2)
    expected = [iterator.batch(0, step)[0] for step in range(4)]
    for step in range(3):
        np.testing.assert_array_equal(next(iterator)[0], expected[step])
    iterator.close()
    assert not prefetch_threads()
    np.testing.assert_array_equal(next(iterator)[0], expected[3])


SCRIPT = """
import sys, time, numpy as np
from fastconv.preprocessing.image import ImageDataGenerator

def slow(image):
    time.sleep(0.01)
    return image

x = np.zeros((200, 8, 8, 3), np.uint8)
iterator = ImageDataGenerator(preprocessing_function=slow).flow(x, batch_size=10, prefetch=4)
for number, batch in enumerate(iterator):
    print(number, flush=True)
    if number == {last}:
        {end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [("break", 0), ("raise ValueError('mine')", 1), ("sys.exit(3)", 3)],
)
def test_a_program_ends_at_once_whatever_ends_it(end, code):
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(last=2, end=end)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == code, done.stderr
    assert time.monotonic() - started < 15
    assert "mine" in done.stderr if code == 1 else not done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_ends_it():
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(last=-1, end="pass")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.stdout.readline() != "2\n":
        pass
    import signal

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0 and errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_thread():
    import fastconv

    before = fastconv.get_num_threads()
    fastconv.set_num_threads(1)
    try:
        iterator = flow(prefetch=2)
        next(iterator), next(iterator)
        expected = iterator.batch(0, 2)[0]
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(next(iterator)[0], expected) else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        fastconv.set_num_threads(before)


def test_by_default_only_what_waits_is_made_ahead(tmp_path):
    import fastconv

    folder = write_folder(tmp_path / "set", {"a": 6, "b": 6})
    x, y = data()
    plain, python = ImageDataGenerator(**AUGMENT), ImageDataGenerator(preprocessing_function=abs)
    cubic = ImageDataGenerator(rotation_range=5, interpolation_order=3)

    def runs(iterator):
        for _ in range(3):
            next(iterator)
        running = bool(prefetch_threads())
        iterator.seek(1, 1)
        assert bool(prefetch_threads()) == running
        iterator.close()
        return running

    def files(generator, **options):
        return generator.flow_from_directory(folder, (8, 8), batch_size=4, **options)

    before = fastconv.get_num_threads()
    try:
        fastconv.set_num_threads(2)
        assert not runs(plain.flow(x, y, 8))
        assert runs(python.flow(x, y, 8)) and runs(cubic.flow(x, y, 8))
        assert runs(plain.flow(x, y, 8, save_to_dir=tmp_path / "saved"))
        assert not runs(files(plain)) and not runs(files(plain, cache="disk", cache_dir=tmp_path))
        assert runs(files(plain, cache=None)) and runs(files(plain, cache_limit_mb=0.001))
        assert runs(files(python))
        assert runs(plain.flow(x, y, 8, prefetch=1)) and not runs(python.flow(x, y, 8, prefetch=0))
        fastconv.set_num_threads(1)
        assert not runs(python.flow(x, y, 8))
    finally:
        fastconv.set_num_threads(before)


def test_wrong_depths_are_refused():
    for wrong in (-1, 1.5, "yes", True):
        with pytest.raises(ValueError, match="prefetch is"):
            flow(prefetch=wrong)
