"""Children of fork compute, whatever threads their parent had: each test is a real fork."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

PARENT = """
    import os, sys, threading
    import numpy as np
    import fastconv
    from fastconv import layers, models, ops
    from fastconv._core import runtime

    fastconv.set_num_threads(2)
    rng = np.random.default_rng(0)
    x, kernel = rng.random((4, 64, 64, 8), np.float32), rng.random((3, 3, 8, 16), np.float32)

    def compute():
        y = ops.conv2d(x, kernel)
        return y.tobytes() + b"".join(a.tobytes() for a in ops.conv2d_backward(y, x, kernel))

    wanted = compute()

    def is_right(*_):
        return compute() == wanted

    def in_child(function):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                code = 0 if function() else 1
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


def check(code: str, timeout: float = 120) -> str:
    """Run `code` behind PARENT's; a child that hangs is a failure after `timeout` seconds."""
    program = textwrap.dedent(PARENT) + textwrap.dedent(code)
    # Seconds are enough; a machine that eight share may take many.
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        pytest.fail(f"hung for {timeout} seconds")
    assert process.returncode == 0, err
    return out


def test_a_child_a_grandchild_and_the_parent_after_them():
    check("assert in_child(lambda: is_right() and in_child(is_right))\nassert is_right()")


def test_a_grandchild_whose_parent_did_not_compute():
    check("assert in_child(lambda: in_child(is_right))\nassert in_child(is_right) and is_right()")


def test_a_child_may_use_as_many_threads_as_it_likes():
    check(
        """
        def child():
            fastconv.set_num_threads(3)
            return is_right() and fastconv.get_num_threads() == 3

        assert in_child(child)
        assert fastconv.get_num_threads() == 2
        """
    )


def test_a_fork_from_another_thread_than_the_one_that_computed():
    check(
        """
        found = []

        def beside():
            found.append(in_child(is_right))
            found.append(is_right() and in_child(is_right))

        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
        assert found == [True, True] and is_right()
        """
    )


def test_forks_while_another_thread_computes():
    check(
        """
        stop = threading.Event()
        wrong = []

        def beside():
            while not stop.is_set():
                if not is_right():
                    wrong.append(1)

        thread = threading.Thread(target=beside)
        thread.start()
        assert all(in_child(is_right) for _ in range(10))
        stop.set()
        thread.join()
        assert not wrong
        """
    )


def test_what_operations_keep_is_the_childs_own():
    check(
        """
        images = rng.random((8, 96, 96, 8), np.float32)
        large = ops.conv2d(images, kernel)
        kept = large.copy()

        def child():
            global large
            large.fill(0)
            large = None
            results = [ops.conv2d(images, kernel) for _ in range(3)]
            right = all((result == kept).all() for result in results)
            fastconv.utils.clear_session()
            return right and is_right()

        assert in_child(child) and (large == kept).all()
        stop = threading.Event()

        def beside():
            while not stop.is_set():
                ops.conv2d(images, kernel)

        thread = threading.Thread(target=beside)
        thread.start()
        assert all(in_child(child) for _ in range(10))
        stop.set()
        thread.join()
        assert (ops.conv2d(images, kernel) == kept).all()
        """
    )


def test_training_goes_on_in_a_child():
    check(
        """
        def make():
            fastconv.utils.set_random_seed(1)
            model = models.Sequential([
                layers.Conv2D(8, 3, activation="relu", input_shape=(40, 40, 3)),
                layers.MaxPooling2D(), layers.BatchNormalization(), layers.Flatten(),
                layers.Dropout(0.5), layers.Dense(200, activation="relu"),
                layers.Dense(1, activation="sigmoid")])
            model.compile("adam", "binary_crossentropy")
            return model

        images, labels = rng.random((64, 40, 40, 3), np.float32), np.arange(64) % 2

        def train(model):
            model.fit(images, labels, batch_size=16, epochs=2, verbose=0)
            return b"".join(weight.tobytes() for weight in model.get_weights())

        trained = train(make())
        model = make()
        assert in_child(lambda: train(model) == trained)
        assert train(model) == trained
        """
    )


def test_multiprocessing_by_fork():
    check(
        """
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(3) as pool:
            assert all(pool.map(is_right, range(6)))
        assert is_right()
        """
    )


def test_workers_of_a_data_loader():
    pytest.importorskip("torch", reason="needs PyTorch")
    check(
        """
        from torch.utils.data import DataLoader, Dataset

        class Images(Dataset):
            def __len__(self):
                return 8

            def __getitem__(self, index):
                return index if is_right() else -1

        loader = DataLoader(Images(), batch_size=2, num_workers=2, multiprocessing_context="fork")
        found = sorted(int(index) for batch in loader for index in batch)
        assert found == list(range(8)) and is_right()
        """
    )


def test_a_process_that_had_one_thread_forks_as_before():
    check(
        """
        fastconv.set_num_threads(1)
        assert is_right() and in_child(is_right)
        """
    )
