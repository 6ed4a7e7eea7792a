"""What the documents show runs, and what they point to is there."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from image_folders import write_folder
from small_models import convnet

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: Names in code quotes that look like files of this project.
QUOTED = re.compile(r"`((?:fastconv|pyx|tests|bench|docs|examples)/[\w./-]+)`")
#: The Python blocks of each document that has some.
EXAMPLES = {
    path.relative_to(ROOT).as_posix(): blocks
    for path in DOCUMENTS
    if (blocks := re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S))
}


def without_code(text: str) -> str:
    return FENCED.sub("", text)


def anchors(text: str) -> set[str]:
    """Return the places of a document that a link can name, as GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_document
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target in LINK.findall(without_code(text)):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target


@each_document
def test_files_that_are_named_are_there(document):
    missing = {
        name
        for name in QUOTED.findall(document.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    }
    assert not missing


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(name, tmp_path, monkeypatch, capsys):
    """Python blocks run one after another in one namespace, beside a few photos."""
    monkeypatch.chdir(tmp_path)
    for part in ("train", "validation"):
        write_folder(tmp_path / "dog-vs-cat" / part, {"cat": 2, "dog": 2})
    convnet().save("model-12.npz")  # the best epoch of a run on all photos
    names: dict[str, object] = {"__name__": "__main__"}
    for number, code in enumerate(EXAMPLES[name], 1):
        where = f"{name}, example {number}"
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, names, where, name, 0)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
            names.update(test.globs)
            assert not capsys.readouterr().out, where
        else:
            exec(compile(code, where, "exec"), names)
            capsys.readouterr()  # what it prints is not shown


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".ci/run"])
def test_sessions_that_are_named_are_there(name):
    sessions = re.findall(r"^@nox\.session\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.M)
    named = re.findall(r"nox -s ((?:[a-z]+\b *)+)", (ROOT / name).read_text(encoding="utf-8"))
    assert named
    assert {session for names in named for session in names.split()} <= set(sessions)


def test_the_check_runs_the_tests_by_the_command_of_the_readme():
    command = "pip install '.[test]' && pytest"
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.partition("  ")[0] == command]


@pytest.mark.parametrize(
    "module",
    [
        *("layers", "activations", "initializers", "regularizers", "constraints", "losses"),
        *("metrics", "optimizers", "optimizers.schedules", "callbacks", "models", "utils"),
    ],
)
def test_every_public_name_is_listed(module):
    """But for what serves other modules: functions of losses, metrics and the like."""
    text = (ROOT / "docs/keras.md").read_text(encoding="utf-8")
    section = re.search(r"^## What there is$(.*?)^## ", text, re.MULTILINE | re.DOTALL)[1]
    listed = {name.replace("_", "").lower() for name in re.findall(r"`(\w+)`", section)}
    home = importlib.import_module(f"fastconv.{module}")
    names = getattr(home, "__all__", None) or [
        name
        for name, value in vars(home).items()
        if inspect.isclass(value) and value.__module__ == home.__name__ and name[0] != "_"
    ]
    wanted = [
        name for name in names if module in ("models", "utils") or inspect.isclass(vars(home)[name])
    ]
    wrapper = {"functionactivation"}  # of a user's function
    assert not {name.replace("_", "").lower() for name in wanted} - listed - wrapper
