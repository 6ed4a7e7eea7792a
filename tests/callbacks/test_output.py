"""Where callbacks print: terminals, notebooks, pipes, closed streams, nothing."""

from __future__ import annotations

import io
import subprocess
import sys
import types

import pytest
from small_models import convnet, photos

from fastconv.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint, ProgressLine
from fastconv.callbacks import progress as progress_module
from fastconv.callbacks.output import in_notebook, is_terminal, say

X, Y = photos(12)


class Tee:
    """All that `print` needs, and no more."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Flushed(Tee):
    """Notes what could be read after each flush."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def flush(self):
        self.seen.append(self.text)


def _closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make", [Tee, Flushed, lambda: None, _closed, io.StringIO])
@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_training_does_not_depend_on_its_output(make, verbose, monkeypatch, tmp_path):
    stream = make()
    monkeypatch.setattr(sys, "stdout", stream)
    model = convnet()
    callbacks = [
        EarlyStopping("loss", verbose=1, restore_best_weights=True),
        ModelCheckpoint(tmp_path / "m.npz", verbose=1),
        LearningRateScheduler(lambda epoch: 0.1, verbose=1),
    ]
    model.fit(X, Y, epochs=2, verbose=verbose, callbacks=callbacks)
    model.evaluate(X, Y, verbose=verbose)
    assert len(model.predict(X, verbose=verbose)) == 12
    if isinstance(stream, Tee):
        assert "Epoch 1/2 - 1/1 [====" in stream.text and "saving the model" in stream.text


def test_every_line_is_there_when_it_is_written():
    stream = Flushed()
    line = ProgressLine(stream=stream)
    convnet().fit(X, Y, epochs=2, callbacks=[line], verbose=0)
    assert [text.count("\n") for text in stream.seen] == [1, 2] and stream.seen[-1] == stream.text


def test_a_pipe_sees_each_epoch_at_once():
    code = (
        "import os, numpy as np, fastconv\n"
        "from fastconv import layers, callbacks\n"
        "m = fastconv.Sequential([layers.Dense(1, input_shape=(2,))])\n"
        "m.compile('sgd', 'mse')\n"
        "leave = callbacks.LambdaCallback(on_epoch_begin=lambda e, logs: e == 1 and os._exit(7))\n"
        "m.fit(np.ones((4, 2)), np.ones(4), epochs=2, callbacks=leave)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 7 and done.stdout.startswith("Epoch 1/2 - 1/1 [")


def test_words_that_an_encoding_lacks_are_spelled():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii")
    say("고양이 saved", stream)
    assert raw.getvalue() == b"\\uace0\\uc591\\uc774 saved\n"


def test_terminals():
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert is_terminal(terminal)
    for stream in (None, _closed(), Tee(), io.StringIO()):
        assert not is_terminal(stream)


class _Bar:
    """Stands for tqdm's notebook bar."""

    def __init__(self, **options):
        self.options, self.steps, self.text, self.closed = options, 0, "", False
        _Bar.made.append(self)

    def set_description_str(self, text, refresh=True):
        self.text = text

    def update(self):
        self.steps += 1

    def close(self):
        self.closed = True


@pytest.fixture
def notebook(monkeypatch):
    """Make the session look as a notebook's kernel does to tqdm."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def test_a_notebook_gets_a_bar_that_moves(notebook, monkeypatch, capsys):
    import tqdm.auto

    _Bar.made = []
    monkeypatch.setattr(tqdm.auto, "tqdm", _Bar)
    assert in_notebook()
    convnet().fit(X, Y, batch_size=4, epochs=2)
    assert [(bar.steps, bar.closed, bar.options["total"]) for bar in _Bar.made] == [
        (3, True, 3)
    ] * 2
    assert _Bar.made[0].text.startswith("loss: ") and "accuracy" in _Bar.made[0].text
    assert capsys.readouterr().out.count("3/3 [=") == 2
    # Neither lines alone nor a stream of one's own are the notebook's.
    convnet().fit(X, Y, verbose=2)
    convnet().fit(X, Y, verbose=0, callbacks=[ProgressLine(stream=io.StringIO())])
    assert len(_Bar.made) == 2


def test_without_widgets_the_notebooks_bar_is_text(notebook, capsys):
    bar = progress_module._notebook_bar(3)
    bar.update()
    bar.close()
    assert "/3" in capsys.readouterr().out


def test_elsewhere_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    nobody = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", nobody)
    assert not in_notebook()
