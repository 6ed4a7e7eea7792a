"""`python -m fastconv.keras` runs what `python` would, with Keras served by fastconv."""

from __future__ import annotations

import importlib.util
import sys

import pytest

sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent))
from scripts import run


def test_a_script_is_main_with_its_arguments_and_folder(tmp_path):
    (tmp_path / "helper.py").write_text("from keras.layers import Dense\n")
    done = run(
        tmp_path,
        "--epochs",
        "3",
        code="""
        import sys, helper, fastconv.layers
        assert helper.Dense is fastconv.layers.Dense
        print(__name__, sys.argv, __file__ == sys.path[0] + "/script.py")
        """,
    )
    assert done.stdout == "__main__ ['script.py', '--epochs', '3'] True\n", done.stderr


@pytest.mark.parametrize(
    ("code", "exit_code", "last"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit('enough')", 1, "enough"),
        ("import keras\n\n1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("x = (", 1, "SyntaxError: '(' was never closed"),
    ],
)
def test_exit_codes_and_errors_are_pythons(tmp_path, code, exit_code, last):
    done = run(tmp_path, code=code)
    assert done.returncode == exit_code
    assert (done.stderr.splitlines() or [""])[-1] == last
    assert "fastconv" not in done.stderr.replace(str(tmp_path), "")


def test_a_traceback_begins_in_the_script(tmp_path):
    lines = run(tmp_path, code="import keras\n\n1 / 0\n").stderr.splitlines()
    assert lines[:2] == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/script.py", line 3, in <module>',
    ]


def test_modules_code_and_mistakes(tmp_path):
    (tmp_path / "tool.py").write_text("import keras, sys\nprint(__name__, sys.argv[1:])\n")
    assert run(tmp_path, "-m", "tool", "a").stdout == "__main__ ['a']\n"
    assert run(tmp_path, "-c", "import keras, sys; print(sys.argv)", "b").stdout == "['-c', 'b']\n"
    missing = run(tmp_path, "none.py")
    assert missing.returncode == 2 and "can't open file" in missing.stderr
    assert run(tmp_path).returncode == 2


def test_a_missing_name_is_told_in_one_line_when_it_is_used(tmp_path):
    done = run(
        tmp_path,
        code="""
        from tensorflow.keras.layers import LSTM, Dense
        from keras.applications.vgg16 import preprocess_input
        assert not isinstance(Dense(1), LSTM)
        LSTM(3)
        """,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("script.py:4: fastconv has no tensorflow.keras.layers.LSTM: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import keras\nkeras.layers.Conv2", "script.py:2: .* the nearest is keras.layers.Conv2D"),
        ("import keras\nkeras.applications.VGG16()", "script.py:2: .* weights that others trained"),
        ("from keras.layers import Convv", "script.py:1: fastconv has no keras.layers.Convv"),
        ("import keras.nothing", "script.py:1: fastconv has no keras.nothing"),
        ("import tensorflow as tf\ntf.GradientTape()", "script.py:2: .*tensorflow.GradientTape"),
    ],
)
def test_every_way_of_asking_tells_the_line(tmp_path, code, text):
    done = run(tmp_path, code=code)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    import re

    assert re.match(text, done.stderr), done.stderr


def test_an_import_error_can_be_caught(tmp_path):
    code = """
    try:
        from keras.layers import NoSuchLayer
    except ImportError:
        from keras.layers import Dense
    print("went on")
    """
    assert run(tmp_path, code=code).stdout == "went on\n"


def test_an_installed_keras_is_not_imported(tmp_path):
    for name in ("keras", "tensorflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemError('the other one')\n")
    code = "import keras, tensorflow as tf\nprint(keras.backend.backend(), tf.keras.layers.Dense)"
    assert run(tmp_path, code=code).stdout.startswith("fastconv <class 'fastconv.layers.dense.")


def test_importing_fastconv_loads_nothing_of_it(tmp_path):
    import subprocess

    code = "import fastconv, sys; print([m for m in sys.modules if m.startswith('fastconv.keras')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not importlib.util.find_spec("IPython"), reason="needs IPython")
def test_the_notebook_extension(tmp_path):
    import subprocess

    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in ("%load_ext fastconv.keras", "import keras; print(keras.backend.backend())",
             "from keras.layers import LSTM\\nLSTM(3)", "%unload_ext fastconv.keras"):
    shell.run_cell(cell)
import sys
print("keras" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[0] == "fastconv" and done.stdout.endswith("False\n")
    assert "line 2: fastconv has no keras.layers.LSTM" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_loading_after_keras_is_refused(tmp_path):
    import subprocess

    (tmp_path / "keras.py").write_text("")
    code = "import keras, fastconv.keras\nfastconv.keras.install()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "RuntimeError: fastconv.keras: keras is imported already" in done.stderr
