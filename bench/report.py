"""Tables, progress and result files."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "torch",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "ncnn",
    "MNN",
    "jax",
)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table that also reads well as it is; the first column is text."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths, strict=True)
        aligned = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        return "| " + " | ".join(aligned) + " |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def milliseconds(seconds: float) -> str:
    """Return `seconds` in ms with three digits that mean something."""
    value = 1e3 * seconds
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def megabytes(count: float) -> str:
    """Return a number of bytes in MB."""
    return f"{count / 1e6:.0f} MB"


def progress(text: str) -> None:
    """Say on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


def environment(threads: int) -> dict[str, Any]:
    """Return the machine, the versions and the threads that figures were taken with."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": _cpu_name(),
        "cpus": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def headline(facts: dict[str, Any]) -> str:
    """Return one line on the machine and one on the versions."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['cpu']}, {facts['cpus']} CPUs, {facts['threads']} threads, {facts['system']}\n"
        f"Python {facts['python']}, {versions}"
    )


def save_json(path: str, results: dict[str, Any]) -> None:
    """Write `results` to `path`."""
    Path(path).write_text(json.dumps(results, indent=1) + "\n")
    progress(f"wrote {path}")
