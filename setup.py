"""Builds the kernels: every module once per SIMD level, with OpenMP probed first."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SOURCES = Path("pyx/_fastconv")
COMMON_MODULES = ("cpu", "structs")  # the same on every level
KERNELS = sorted({path.stem for path in SOURCES.glob("*.pyx")} - set(COMMON_MODULES))
SHARED = "_fastconv._shared"
COMMON = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-g0"]
LEVELS = {"baseline": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    LEVELS["avx2"] = ["-mavx2", "-mfma", "-mbmi"]
    LEVELS["avx512"] = [
        "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mbmi",
        "-mprefer-vector-width=512",
    ]  # fmt: skip
if os.environ.get("FASTCONV_LEVELS"):  # for work on the kernels: one level builds in a third
    wanted = [name.strip() for name in os.environ["FASTCONV_LEVELS"].split(",")]
    unknown = [name for name in wanted if name not in LEVELS]
    if unknown:
        sys.exit(
            f"FASTCONV_LEVELS: unknown {', '.join(map(repr, unknown))}; give one or more of "
            f"{','.join(LEVELS)}, with commas between"
        )
    # In this order, whatever the variable's: cythonize adds a level's flags to those before it.
    LEVELS = {level: flags for level, flags in LEVELS.items() if level in wanted}
# Without its symbols a module is a third smaller; profilers want them.
STRIP = ["-s"] if sys.platform == "linux" and "FASTCONV_SYMBOLS" not in os.environ else []

OPENMP_PROBE = """
#include <omp.h>
int main(void) {
    int count = 0;
    #pragma omp parallel num_threads(2)
    {
        #pragma omp atomic
        count++;
    }
    return count >= 1 ? 0 : 1;
}
"""
NO_COMPILER = """
fastconv needs a C compiler, and {command!r} does not work here:
  {reason}
Install one and run the same command again:
  Debian, Ubuntu:  apt-get install gcc libc6-dev python3-dev
  Fedora:          dnf install gcc python3-devel
  macOS:           xcode-select --install && brew install gcc, then CC=gcc-14
"""
NO_OPENMP = """
fastconv needs OpenMP, and {command!r} cannot build or run a program with -fopenmp:
  {reason}
Install it and run the same command again:
  Debian, Ubuntu:  apt-get install gcc libgomp1    (with clang: libomp-dev)
  Fedora:          dnf install gcc libgomp
  macOS:           brew install gcc, then CC=gcc-14 pip install .
For kernels that use one thread only, set FASTCONV_ALLOW_SERIAL=1.
"""


def run_probe(compiler: list[str], source: str, flags: list[str]) -> str | None:
    """Compile, link and run `source`; return None, or why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.c")
        path.write_text(source)
        program = Path(folder, "probe")
        for command in ([*compiler, str(path), *flags, "-o", str(program)], [str(program)]):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            except (OSError, subprocess.TimeoutExpired) as error:
                return str(error)
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                return lines[0]
    return None


class BuildKernels(build_ext):
    """Probe the compiler, then build with its OpenMP flags."""

    def run(self) -> None:
        if self.inplace:  # a level's folder holds nothing but what is built
            for level in LEVELS:
                (SOURCES / level).mkdir(exist_ok=True)
        super().run()

    def build_extensions(self) -> None:
        compiler = list(getattr(self.compiler, "compiler_so", None) or ["cc"])[:1]
        reason = run_probe(compiler, "int main(void) { return 0; }", [])
        if reason:
            sys.exit(NO_COMPILER.format(command=compiler[0], reason=reason))
        openmp = ["-fopenmp"]
        reason = run_probe(compiler, OPENMP_PROBE, openmp)
        if reason and os.environ.get("FASTCONV_ALLOW_SERIAL") != "1":
            sys.exit(NO_OPENMP.format(command=compiler[0], reason=reason))
        for extension in self.extensions:
            if not reason:
                extension.extra_compile_args += openmp
                extension.extra_link_args += openmp
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()


def extensions() -> list[Extension]:
    """Translate each source once per level, so that each level has its own C file and flags."""
    from Cython.Build import cythonize

    directives = {
        "language_level": 3,
        "boundscheck": os.environ.get("FASTCONV_BOUNDSCHECK") == "1",
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "freethreading_compatible": True,
    }
    # Cython writes this source: what else each module would have a copy of, memoryviews above all.
    shared = Path("build/cython/_shared.c")
    shared.parent.mkdir(parents=True, exist_ok=True)
    built = cythonize(
        [
            Extension(
                SHARED,
                [str(shared)],
                extra_compile_args=COMMON,
                extra_link_args=["-s"] if sys.platform == "linux" else [],
            )
        ],
        compiler_directives=directives,
        language_level=3,
        shared_utility_qualified_name=SHARED,
    )
    for level, flags in {None: [], **LEVELS}.items():
        prefix = f"_fastconv.{level}" if level else "_fastconv"
        built += cythonize(
            [
                Extension(
                    f"{prefix}.{name}",
                    [str(SOURCES / f"{name}.pyx")],
                    include_dirs=[str(SOURCES)],
                    depends=[str(path) for path in SOURCES.glob("simd/*.h")],
                    extra_compile_args=[*COMMON, *flags],
                    extra_link_args=[*STRIP],
                )
                for name in (KERNELS if level else COMMON_MODULES)
            ],
            include_path=["pyx"],
            build_dir=f"build/cython/{level or 'common'}",
            compiler_directives=directives,
            language_level=3,
            shared_utility_qualified_name=SHARED,
        )
    return built


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildKernels})
