"""A contributor's commands, in the environment that nox runs in: `pip install '.[test,dev]'` first.

`nox -l` lists them, `nox -s quick` is the one to start with, `.ci/run` runs what must pass. What
stands behind `--` goes to the tool: `nox -s tests -- -k winograd`.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
IN_TREE = {"PYTHONPATH": f"{ROOT / 'pyx'}{os.pathsep}{ROOT}"}
QUICK_LEVEL = os.environ.get("FASTCONV_LEVELS", "baseline")
SMOKE_TESTS = (
    "tests/test_imports.py",
    "tests/ops/test_reference.py",
    "tests/ops/test_filtering.py",
    "tests/layers/test_conv2d.py",
    "tests/layers/test_dense.py",
    "tests/models",
)
#: What tells the kernels of one SIMD level from another's.
KERNEL_TESTS = ("tests/ops", "tests/graph/test_fusion.py", "tests/graph/test_stages.py")
LARGEST_WHEEL = 3_000_000  # bytes, for three SIMD levels; a kernel that bloats it is noticed

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["quick", "lint", "types"]
# Environments of nox's own would each build the kernels again.
nox.options.default_venv_backend = "none"


def python(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    session.run("python", *arguments, env=env)


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=os.path.getmtime)


@nox.session
def tools(session: nox.Session) -> None:
    """Install the extra `dev` and what the package needs, without building the package."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    python(session, "-m", "pip", "install", "-q", *wanted)


@nox.session
def quick(session: nox.Session) -> None:
    """Build one SIMD level in place and try the least of everything."""
    python(
        session, "setup.py", "-q", "build_ext", "--inplace", env={"FASTCONV_LEVELS": QUICK_LEVEL}
    )
    env = {**IN_TREE, "FASTCONV_SIMD": QUICK_LEVEL.split(",")[0].strip()}
    python(session, "-m", "pytest", "-x", *(session.posargs or SMOKE_TESTS), env=env)


@nox.session
def tests(session: nox.Session) -> None:
    """Build every SIMD level in place and run all tests from the tree."""
    python(session, "setup.py", "-q", "build_ext", "--inplace")
    python(session, "-m", "pytest", *session.posargs, env=IN_TREE)


@nox.session
def levels(session: nox.Session) -> None:
    """Test the kernels of the installed package on each lower SIMD level, away from the tree."""
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        shutil.copytree(ROOT / "tests", "tests")
        Path("bench").mkdir()  # one of pytest's testpaths
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, name)
        program = "import _fastconv; print(*_fastconv.cpu.supported_levels()[:-1])"
        lower = session.run("python", "-c", program, silent=True)
        for level in str(lower).split():
            arguments = session.posargs or KERNEL_TESTS
            python(session, "-m", "pytest", *arguments, env={"FASTCONV_SIMD": level})


@nox.session
def types(session: nox.Session) -> None:
    """Check the type hints."""
    python(session, "-m", "mypy", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and spelling."""
    python(session, "-m", "ruff", "check", ".")
    python(session, "-m", "ruff", "format", "--check", ".")
    session.run("codespell", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Run the documents' examples and look their links up."""
    python(session, "-m", "pytest", "tests/test_documents.py", *session.posargs)


@nox.session
def asan(session: nox.Session) -> None:
    """Build and test the kernels under AddressSanitizer and UndefinedBehaviorSanitizer."""
    python(session, "tests/sanitize.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Time each kernel and each training step; with arguments, beside peers (bench.compare)."""
    if session.posargs:
        python(session, "-m", "bench.compare", *session.posargs)
    else:
        python(session, "-m", "pytest", "bench", "--benchmark-only")


@nox.session
def wheel(session: nox.Session) -> None:
    """Make an sdist, and out of it a wheel, in dist/ or the folder that is given."""
    target = Path(session.posargs[0] if session.posargs else "dist").resolve()
    python(session, "-m", "build", "--sdist", "--outdir", str(target), ".")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(newest(target, "*.tar.gz")) as archive:
            archive.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        if (ROOT / "build").is_dir():  # its parts are taken where they are made of the same sources
            ignored = shutil.ignore_patterns("sanitized")
            shutil.copytree(ROOT / "build", source / "build", ignore=ignored)
        python(session, "-m", "build", "--wheel", "--outdir", str(target), str(source))
    made = newest(target, "*.whl")
    size = made.stat().st_size
    session.log(f"{made.name}: {size:,} bytes")
    if size >= LARGEST_WHEEL:
        session.error(f"{made.name} has {size:,} bytes; it must have fewer than {LARGEST_WHEEL:,}")
