"""`python -m bench.data`: how long input takes, beside Keras and PyTorch, in one run.

    python -m bench.data batch --photos dog-vs-cat
    python -m bench.data epoch --photos dog-vs-cat --rounds 3
    python -m bench.data epoch --photos dog-vs-cat --images 400    # a fifth of it

`batch`: an augmented batch from decoded photos, against Keras's ImageDataGenerator, and its
share of model3's training step.  `epoch`: whole epochs of model3, the first one with decoding.
Run it from the project's root on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import report
from .harness import Timing, interleave
from .worker import ContenderError, Worker

BATCH, STEP, EPOCH = "augmented batch", "training step", "epoch"
PARTS = ("train", "validation")
_HERE = "bench.contenders"


@dataclass(frozen=True)
class DataTask:
    """`kind` is BATCH or EPOCH; `folder` holds train/ and validation/, `size` is in pixels."""

    kind: str
    folder: str
    size: int
    batch: int


@dataclass(frozen=True)
class Contender:
    """A contender's class, its options, and the modules it needs."""

    label: str
    target: str
    options: tuple[tuple[str, Any], ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        return [name for name in self.modules if importlib.util.find_spec(name) is None]


_FASTCONV = f"{_HERE}.data_fastconv:FastconvData"
_TORCH = f"{_HERE}.data_torch:TorchEpochs"
CONTENDERS = {
    BATCH: (
        Contender("fastconv", _FASTCONV),
        Contender(
            "Keras ImageDataGenerator", f"{_HERE}.data_keras:KerasGenerator", (), ("keras", "scipy")
        ),
    ),
    EPOCH: (
        Contender("fastconv", _FASTCONV),
        Contender("fastconv, 2 batches ahead", _FASTCONV, (("prefetch", 2),)),
        Contender("PyTorch DataLoader", _TORCH, (("workers", 0),), ("torch",)),
        Contender("PyTorch DataLoader, 2 workers", _TORCH, (("workers", 2),), ("torch",)),
        Contender(
            "Keras on tf.data", f"{_HERE}.data_keras:KerasEpochs", (), ("keras", "tensorflow")
        ),
    ),
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    whole = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    whole.add_argument("kind", choices=("batch", "epoch"))
    whole.add_argument(
        "--photos",
        metavar="DIR|ZIP",
        default=os.environ.get("FASTCONV_DOG_VS_CAT") or None,
        help="photos with train/ and validation/; else the built-in drawn ones",
    )
    whole.add_argument("--images", type=int, default=0, help="training photos to take, 0: all")
    whole.add_argument("--image-size", type=int, default=100, help="rows and columns")
    whole.add_argument("--batch-size", type=int, default=32, help="images in a batch")
    whole.add_argument("--threads", type=int, default=2, help="threads of each contender")
    whole.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    whole.add_argument("--calls", type=int, default=5, help="timed batches in a turn")
    whole.add_argument(
        "--only",
        default="",
        help="only contenders named like this or, after a comma, that",
    )
    whole.add_argument("--json", metavar="FILE", help="write all results, raw times included")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        results = run(options)
    except ContenderError as error:
        print(f"bench.data: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        report.save_json(options.json, results)
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and print; return the results as JSON values."""
    kind = BATCH if options.kind == "batch" else EPOCH
    facts = report.environment(options.threads)
    print(report.headline(facts))
    first: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_photos(options.photos, options.images))
        task = DataTask(kind, folder, options.image_size, options.batch_size)
        facts["photos"] = _described(folder, options.image_size)
        workers = []
        for contender in CONTENDERS[kind]:
            if not any(part in contender.label for part in options.only.split(",")):
                continue
            if contender.missing:
                print(f"note: {contender.label}: {', '.join(contender.missing)} not installed")
                continue
            report.progress(f"{contender.label}: getting ready")
            worker = Worker(
                contender.label, contender.target, options.threads, **dict(contender.options)
            )
            workers.append(stack.enter_context(worker))
            answer = worker.invoke("prepare", task)
            first[contender.label] = answer.get("first", 0.0)
        entries = [(worker, kind) for worker in workers]
        if kind == BATCH:
            entries += [(worker, STEP) for worker in workers if worker.label == "fastconv"]
        # Whole epochs need no call before that does not count: the first one was that.
        calls = options.calls if kind == BATCH else 1
        timings = interleave(entries, options.rounds, calls, warm=kind == BATCH)
        memory = {worker.label: worker.peak_memory() for worker in workers}
    print(f"{facts['photos']}, {options.rounds} rounds")
    _print(kind, timings, first, memory, options.rounds)
    return {
        "command": options.kind,
        "environment": facts,
        "photos": options.photos,
        "seconds": {" / ".join(key): timing.seconds for key, timing in timings.items()},
        "first epoch": first,
        "peak memory": memory,
    }


@contextlib.contextmanager
def _photos(given: str | None, images: int) -> Iterator[str]:
    """Give the folder of photos, or one of links to so many of them."""
    from fastconv import datasets

    folder = datasets.dog_vs_cat(given) if given else datasets.synthetic()
    if not images:
        yield str(folder)
        return
    with tempfile.TemporaryDirectory() as place:
        for part, count in zip(PARTS, (images, max(2, images * 2 // 5)), strict=True):
            classes = sorted(path for path in Path(folder, part).iterdir() if path.is_dir())
            for source in classes:
                target = Path(place, part, source.name)
                target.mkdir(parents=True)
                for path in sorted(source.iterdir())[: count // len(classes)]:
                    (target / path.name).symlink_to(path)
        yield place


def _described(folder: str, size: int) -> str:
    counts = [sum(len(files) for _, _, files in os.walk(Path(folder, part))) for part in PARTS]
    pixels = report.megabytes(sum(counts) * size * size * 3)
    return (
        f"{counts[0]} training and {counts[1]} validation photos of {size} x {size}, {pixels} of "
        "pixels"
    )


def _print(
    kind: str,
    timings: dict[tuple[str, str], Timing],
    first: dict[str, float],
    memory: dict[str, int],
    rounds: int,
) -> None:
    """Print a row for each contender, and what its figures mean for fastconv."""
    ours = timings.get(("fastconv", kind))
    rows = []
    for (label, operation), timing in timings.items():
        if operation != kind:
            continue
        row = [label, *_seconds_and_spread(timing), *_ratio_and_spread(timing, ours, rounds)]
        if kind == EPOCH:
            started = first.get("fastconv")
            row += [
                report.milliseconds(first[label]),
                f"{first[label] / started:.1f}" if started else "",
            ]
        rows.append([*row, report.megabytes(memory[label])])
    header = [kind, "median, ms", "quartiles", "times fastconv's", "in each round"]
    header += ["first epoch, ms", "times fastconv's"] if kind == EPOCH else []
    print(report.table([*header, "peak memory"], rows))
    step = timings.get(("fastconv", STEP))
    if step and ours:
        pairs = zip(ours.by_round(rounds), step.by_round(rounds), strict=True)
        shares = [100 * batch / whole for batch, whole in pairs]
        median, spread = _seconds_and_spread(step)
        print(
            f"fastconv's training step of model3: {median} ms ({spread}); an augmented batch is "
            f"{100 * ours.median / step.median:.1f} % of it ({min(shares):.1f}-{max(shares):.1f} "
            "in each round)"
        )


def _seconds_and_spread(timing: Timing) -> tuple[str, str]:
    low, high = timing.quartiles
    return report.milliseconds(timing.median), (
        f"{report.milliseconds(low)}-{report.milliseconds(high)}"
    )


def _ratio_and_spread(timing: Timing, ours: Timing | None, rounds: int) -> tuple[str, str]:
    """Return how many times fastconv's time this is, and from where to where in the rounds."""
    if ours is None:
        return "", ""
    pairs = zip(timing.by_round(rounds), ours.by_round(rounds), strict=True)
    ratios = [theirs / own for theirs, own in pairs]
    return f"{timing.median / ours.median:.1f}", f"{min(ratios):.1f}-{max(ratios):.1f}"


if __name__ == "__main__":
    sys.exit(main())
