"""What the documents show runs, and what they point to is there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from image_folders import write_folder
from small_models import convnet

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
#: Names in code quotes that look like files of this project.
QUOTED = re.compile(r"`((?:fastconv|pyx|tests|bench|docs)/[\w./-]+)`")


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


@each_document
def test_examples_run(document, tmp_path, monkeypatch, capsys):
    """Python blocks run one after another in one namespace, beside a few photos."""
    blocks = [
        code
        for language, code in FENCED.findall(document.read_text(encoding="utf-8"))
        if language == "python"
    ]
    if not blocks:
        pytest.skip("no Python in it")
    monkeypatch.chdir(tmp_path)
    for part in ("train", "validation"):
        write_folder(tmp_path / "dog-vs-cat" / part, {"cat": 2, "dog": 2})
    convnet().save("model-12.npz")  # the best epoch of a run on all photos
    names: dict[str, object] = {"__name__": "__main__"}
    for number, code in enumerate(blocks, 1):
        where = f"{document.name}, example {number}"
        if ">>>" in code:
            test = doctest.DocTestParser().get_doctest(code, names, where, str(document), 0)
            doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, clear_globs=False)
            names.update(test.globs)
            assert not capsys.readouterr().out, where
        else:
            exec(compile(code, where, "exec"), names)
