"""Builds the kernels: every module once per SIMD level, with OpenMP's pragmas probed first.

What was built is used again while what it was made of is the same.  Dates do not tell: pip makes a
new environment for each build, in which Cython's own files are newer than all that was translated.
So each translation and each compilation leaves a note, a digest of what went into it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext

SOURCES = Path("pyx/_fastconv")
COMMON_MODULES = ("cpu", "structs", "replay")  # the same on every level
KERNELS = sorted({path.stem for path in SOURCES.glob("*.pyx")} - set(COMMON_MODULES))
SHARED = "_fastconv._shared"
COMMON = ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-g0"]
# What has no loops over many values is called by all that has: the smaller the better.
FAST, SMALL = ["-O3", "-fno-ipa-cp-clone"], ["-Os"]
# Passes over values, whose loops are vectors already, are as fast without -O3's copies of loops.
PASSES = ("augment", "elementwise", "normalization")
VECTORS = ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]
# Without Cython's `inline` the compiler decides by size, and modules are a tenth smaller: array
# arguments share what would be copied for each.  The inner loops of `INLINED` gain 3 to 7 % by it.
INLINED = ("depthwise",)
BY_SIZE = ["-DCYTHON_INLINE=", "-Wno-unused-function"]
# On x86 the baseline is for CPUs of before 2013: an eighth smaller, and built in less time.
FALLBACK = ["-O2"] if platform.machine().lower() in ("x86_64", "amd64") else []
if "FASTCONV_SYMBOLS" not in os.environ:  # C throws nothing: only debuggers read these tables
    COMMON += ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
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
    LEVELS = {level: flags for level, flags in LEVELS.items() if level in wanted}
# float64 serves checks of gradients, and one level has it: the lowest, which every CPU runs.  A
# build without that has it on each level.
FLOAT64_LEVELS = ["baseline"] if "baseline" in LEVELS else list(LEVELS)
# Without its symbols a module is a third smaller; profilers want them.
STRIP = ["-s"] if sys.platform == "linux" and "FASTCONV_SYMBOLS" not in os.environ else []

# What compiles `#pragma omp parallel`; the threads are our own, and no OpenMP is linked.
OPENMP_FLAGS = (["-fopenmp"], ["-Xclang", "-fopenmp"])
OPENMP_PROBE = """
#include "omp.h"
static int calls;
static void run(void (*body)(void *), void *data, int threads) { calls = threads; body(data); }
static int thread(void) { return 5; }
int main(void) {
    const fc_calls team = {run, thread, 0};
    int found = 0;
    fc_runtime = &team;
    #pragma omp parallel num_threads(2)
    found = omp_get_thread_num();
    return found == 5 && calls == 2 ? 0 : 1;
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
fastconv needs OpenMP's pragmas for its threads, and {command!r} does not compile them:
  {reason}
GCC and clang do, on Linux and macOS: name one in CC and run the same command again.
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


DIRECTIVES = {
    "language_level": 3,
    "boundscheck": os.environ.get("FASTCONV_BOUNDSCHECK") == "1",
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
    # Plain C functions instead of Cython's own type of function: smaller, and faster to call.
    "binding": False,
    "embedsignature": True,
    "embedsignature.format": "clinic",
}
HEADERS = sorted([*SOURCES.glob("simd/*.h"), *SOURCES.glob("team/*.h")])


class Build(build):
    """Leave nothing of an earlier build in the folder that is packed."""

    def run(self) -> None:
        super().run()
        commands = [self.get_finalized_command(name) for name in self.get_sub_commands()]
        kept = {Path(path).resolve() for command in commands for path in command.get_outputs()}
        for path in Path(self.build_lib).rglob("*"):
            if path.is_file() and path.resolve() not in kept:
                path.unlink()


class BuildKernels(build_ext):
    """Probe the compiler, then build with its flags for OpenMP's pragmas."""

    def run(self) -> None:
        if self.inplace:  # a level's folder holds nothing but what is built
            for level in LEVELS:
                (SOURCES / level).mkdir(exist_ok=True)
        super().run()

    def build_extensions(self) -> None:
        compiler = list(getattr(self.compiler, "compiler_so", None) or ["cc"])
        reason = run_probe(compiler[:1], "int main(void) { return 0; }", [])
        if reason:
            sys.exit(NO_COMPILER.format(command=compiler[0], reason=reason))
        for openmp in OPENMP_FLAGS:
            reason = run_probe(compiler[:1], OPENMP_PROBE, [f"-I{SOURCES / 'team'}", *openmp])
            if not reason:
                break
        if reason and os.environ.get("FASTCONV_ALLOW_SERIAL") != "1":
            sys.exit(NO_OPENMP.format(command=compiler[0], reason=reason))
        for extension in self.extensions:
            if not reason:
                extension.extra_compile_args += [*openmp, "-pthread"]
                extension.extra_link_args.append("-pthread")
        version = subprocess.run([compiler[0], "--version"], capture_output=True, text=True)
        linker = list(getattr(self.compiler, "linker_so", None) or [])
        self._tools = " ".join([*compiler, *linker, version.stdout])
        self.parallel = self.parallel or os.cpu_count()
        self._compiled: list[str] = []
        begin = time.monotonic()
        super().build_extensions()
        seconds = time.monotonic() - begin
        print(
            f"fastconv: {len(self._compiled)} of {len(self.extensions)} modules compiled for "
            f"{', '.join(LEVELS)} in {seconds:.0f} s",
            flush=True,
        )

    def build_extension(self, extension: Extension) -> None:
        """Build one module, unless the very same was built before."""
        note = Path(self.build_temp, f"{extension.name}.made-of")
        flags = [*extension.extra_compile_args, *extension.extra_link_args]
        headers = HEADERS if extension.include_dirs else []
        made_of = fingerprint([self._tools, *flags], [*extension.sources, *headers])
        built = Path(self.get_ext_fullpath(extension.name))
        if built.exists() and read(note) == made_of:
            return
        built.unlink(missing_ok=True)
        super().build_extension(extension)
        self._compiled.append(extension.name)
        note.write_text(made_of)


def read(note: Path) -> str:
    """Return what a note says, nothing if there is none."""
    return note.read_text() if note.exists() else ""


def fingerprint(words: Iterable[str], paths: Iterable[str | Path]) -> str:
    """Return a digest of some words and of what some files hold."""
    digest = hashlib.sha256(repr(list(words)).encode())
    for path in paths:
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def types_of(level: str | None) -> Path:
    """Return the folder of the file that says which types a level's modules take."""
    one_type = level is not None and level not in FLOAT64_LEVELS
    return SOURCES / "types" / ("float32" if one_type else "both")


def with_cimported(path: Path) -> dict[Path, None]:
    """Return a source, its own .pxd and all of ours that it cimports, in a fixed order."""
    own = path.with_suffix(".pxd")
    found = {path: None} | ({own: None} if own.exists() else {})
    for name in re.findall(r"^from _fastconv\.(\w+) cimport", path.read_text(), re.MULTILINE):
        found |= with_cimported(SOURCES / f"{name}.pxd")
    return found


def translate(extension: Extension, types: Path, build_dir: str | None = None) -> Extension:
    """Return `extension` with its C file instead, which is made unless it is the same as before.

    The folder `types` has what sources include.  Without `build_dir` it is the module that Cython
    writes by itself.
    """
    import Cython
    from Cython.Build import cythonize

    source = Path(extension.sources[0])
    translated = Path(build_dir or ".", source.with_suffix(".c"))
    note = translated.with_suffix(".made-of")
    sources = [*with_cimported(source), *types.iterdir()] if build_dir else ()
    made_of = fingerprint([Cython.__version__, extension.name, repr(DIRECTIVES)], sources)
    if not translated.exists() or read(note) != made_of:
        translated.unlink(missing_ok=True)
        cythonize(
            [extension],
            include_path=["pyx", str(types)],
            build_dir=build_dir,
            compiler_directives=DIRECTIVES,
            language_level=3,
            shared_utility_qualified_name=SHARED,
        )
        note.write_text(made_of)
        # Cython copies headers there, which would be found before those that change.
        shutil.rmtree(translated.parent / "simd", ignore_errors=True)
    extension.sources = [str(translated)]
    return extension


def optimization(name: str) -> list[str]:
    """Return the flags that a module is optimized with."""
    if name in COMMON_MODULES:
        return SMALL
    return FAST if name in INLINED else [*(VECTORS if name in PASSES else FAST), *BY_SIZE]


def extensions() -> list[Extension]:
    """Translate each source once per level, so that each level has its own C file and flags."""
    # Cython writes this source: what else each module would have a copy of, memoryviews above all.
    shared = Path("build/cython/_shared.c")
    shared.parent.mkdir(parents=True, exist_ok=True)
    stripped = ["-s"] if sys.platform == "linux" else []
    built = [
        translate(
            Extension(
                SHARED,
                [str(shared)],
                extra_compile_args=[*COMMON, *SMALL],
                extra_link_args=stripped,
            ),
            types_of(None),
        )
    ]
    for level, flags in {None: [], **LEVELS}.items():
        prefix = f"_fastconv.{level}" if level else "_fastconv"
        built += [
            translate(
                Extension(
                    f"{prefix}.{name}",
                    [str(SOURCES / f"{name}.pyx")],
                    include_dirs=[str(SOURCES / "team"), str(SOURCES)],
                    extra_compile_args=[
                        *COMMON,
                        *optimization(name),
                        *(FALLBACK if level == "baseline" else []),
                        *([] if level in (None, *FLOAT64_LEVELS) else ["-DFC_FLOAT32_ONLY"]),
                        *flags,
                    ],
                    extra_link_args=[*STRIP],
                ),
                types_of(level),
                f"build/cython/{level or 'common'}",
            )
            for name in (KERNELS if level else COMMON_MODULES)
        ]
    return built


setup(ext_modules=extensions(), cmdclass={"build": Build, "build_ext": BuildKernels})
