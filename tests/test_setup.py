"""The build script's own mistakes: what it says before anything is built."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("levels", ["avx3", "avx2,avx3", "baseline, avx3"])
def test_unknown_levels_are_named(levels):
    pytest.importorskip("setuptools")
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "FASTCONV_LEVELS": levels},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "FASTCONV_LEVELS: unknown 'avx3'" in done.stderr and "baseline" in done.stderr


COMPILER = """#!{python}
# Compiles the probes; of anything else it only notes the name.
import os, sys
words = sys.argv[1:]
if any("probe" in word for word in words) or "--version" in words:
    os.execvp({compiler!r}, [{compiler!r}, *words])
made = words[words.index("-o") + 1]
open(made, "w").close()
if "-c" in words:
    with open({log!r}, "a") as log:
        print(words[words.index("-c") + 1], file=log)
"""


class Project:
    """A copy of the build with one kernel and one level, whose compiler only takes notes."""

    def __init__(self, folder: Path, compiler: str) -> None:
        self.folder, self.log = folder / "project", folder / "log"
        self.sources = self.folder / "pyx" / "_fastconv"
        shutil.copytree(
            ROOT / "pyx" / "_fastconv",
            self.sources,
            ignore=lambda _, names: {n for n in names if n.endswith(".so") or n == "__pycache__"},
        )
        for path in self.sources.glob("*.pyx"):
            if path.stem not in ("cpu", "fused", "replay", "structs"):
                path.unlink()
        shutil.copy(ROOT / "setup.py", self.folder)
        self.compiler = folder / "compiler"
        text = COMPILER.format(python=sys.executable, compiler=compiler, log=str(self.log))
        self.compiler.write_text(text)
        self.compiler.chmod(0o755)

    def build(self, *arguments: str, **environment: str) -> tuple[set[str], set[str]]:
        """Build, and return which modules were translated and which were compiled."""
        self.log.write_text("")
        before = self._translations()
        done = subprocess.run(
            [sys.executable, "setup.py", *(arguments or ["build_ext"])],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("FASTCONV_")},
                "CC": str(self.compiler),
                "FASTCONV_LEVELS": "baseline",
                **environment,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        after = self._translations()
        translated = {path.stem for path, date in after.items() if before.get(path) != date}
        return translated, {Path(line).stem for line in self.log.read_text().splitlines()}

    def _translations(self) -> dict[Path, int]:
        """Return every C file with its date."""
        return {path: path.stat().st_mtime_ns for path in self.folder.glob("build/cython/**/*.c")}


@pytest.fixture
def project(tmp_path):
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython")
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    if compiler is None:
        pytest.skip("needs a C compiler")
    return Project(tmp_path, compiler)


ALL = {"_shared", "cpu", "fused", "replay", "structs"}


def test_what_is_built_is_used_again(project):
    assert project.build() == (ALL, ALL)
    assert project.build() == (set(), set())
    # The dates of a fresh checkout, or of Cython in an environment of its own, tell nothing.
    later = time.time() + 1000
    for path in [*project.sources.rglob("*.*"), project.folder / "setup.py"]:
        os.utime(path, (later, later))
    assert project.build() == (set(), set())


def test_what_changes_is_built_again_and_what_is_made_of_it(project):
    project.build()

    def change(name: str) -> None:
        """With the dates of before, as some tools unpack files."""
        path = project.sources / name
        dates = path.stat()
        path.write_text(path.read_text() + "\n")
        os.utime(path, (dates.st_atime, dates.st_mtime))

    change("fused.pyx")
    assert project.build() == ({"fused"}, {"fused"})
    change("_window.pxd")
    assert project.build() == ({"fused"}, {"fused"})
    change("_window.pxd")
    change("_planes.pxd")  # which nothing here cimports
    assert project.build() == ({"fused"}, {"fused"})
    change("simd/vector.h")
    assert project.build() == (set(), {"cpu", "fused", "replay", "structs"})
    (project.folder / "build" / "cython" / "_shared.c").unlink()
    assert project.build() == ({"_shared"}, set())
    for path in project.folder.rglob("build/lib*/**/cpu*.so"):
        path.unlink()
    assert project.build() == (set(), {"cpu"})


def test_other_settings_build_again(project):
    """What is accepted takes effect, and so does taking it back."""
    project.build()
    assert project.build(FASTCONV_SYMBOLS="1") == (set(), ALL)
    assert project.build(FASTCONV_SYMBOLS="1") == (set(), set())
    assert project.build() == (set(), ALL)
    translated, compiled = project.build(FASTCONV_BOUNDSCHECK="1")
    assert translated == ALL and "fused" in compiled
    assert project.build(CFLAGS="-O1", FASTCONV_BOUNDSCHECK="1") == (set(), ALL)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="has one SIMD level")
def test_one_level_takes_float64_and_alone_each_does(project):
    """Checks of gradients need no fast kernels of float64, and every level's would be as large."""

    def takes_float64(level: str) -> bool:
        path = project.folder / "build" / "cython" / level / "pyx" / "_fastconv" / "fused.c"
        return "__pyx_fuse_1" in path.read_text()

    levels = ["baseline", "avx2", "avx512"]
    project.build(FASTCONV_LEVELS=",".join(levels))
    assert [takes_float64(level) for level in levels] == [True, False, False]
    assert project.build(FASTCONV_LEVELS="avx2") == ({"fused"}, {"fused"})
    assert takes_float64("avx2")
    assert project.build(FASTCONV_LEVELS=",".join(levels)) == ({"fused"}, {"fused"})
    assert not takes_float64("avx2")


def test_nothing_of_an_earlier_build_is_packed(project):
    (project.folder / "setup.py").write_text(
        (project.folder / "setup.py").read_text().replace("setup(", "setup(py_modules=['one'],")
    )
    (project.folder / "one.py").write_text("")
    project.build("build")
    (library,) = project.folder.glob("build/lib*")
    kept = {path.relative_to(library) for path in library.rglob("*.*")}
    assert Path("one.py") in kept and any(path.name.startswith("fused.") for path in kept)
    (library / "two.py").write_text("")
    (library / "_fastconv" / "avx2").mkdir()
    (library / "_fastconv" / "avx2" / "fused.so").write_text("")
    assert project.build("build") == (set(), set())
    assert {path.relative_to(library) for path in library.rglob("*.*")} == kept
