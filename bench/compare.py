"""`python -m bench.compare`: fastconv beside every installed peer, in turn, in one run.

    python -m bench.compare models --trained 200 --json models.json --plot models.png
    python -m bench.compare networks --json networks.json --markdown networks.md
    python -m bench.compare loaded --json loaded.json --markdown loaded.md
    python -m bench.compare layers --quick
    python -m bench.compare layers --json layers.json --plot layers.png
    python -m bench.compare ops --cases 40 --seed 5 --json ops.json
    python -m bench.compare torch --json torch.json
    python -m bench.compare scaling --plot scaling.png
    python -m bench.compare busy

Run it from the project's root on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from .contenders import LOADED_PEER_KEYS, NETWORK_PEER_KEYS, PEER_KEYS, PREDICT, TRAIN
from .worker import ContenderError

MODELS = ("model1", "model2", "model3", "model4")
NETWORKS = ("resnet20", "small_xception", "mobilenet_v2_like", "unet")
LOADED = ("resnet18", "mobilenet_v2", "squeezenet", "vgg11", "unet")
LAYERS_OF = ("alexnet", "vgg16", "resnet18")
MODES = (TRAIN, PREDICT)


def _shared_options() -> tuple[argparse.ArgumentParser, ...]:
    """Return the options of all commands, of those with photos, and of those with four models."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--threads", type=_positive, default=2, help="threads of each contender")
    common.add_argument("--rounds", type=_positive, default=7, help="turns of each contender")
    common.add_argument("--seed", type=int, default=0, help="of weights, data and samples")
    common.add_argument("--json", metavar="FILE", help="write all results, raw times included")
    common.add_argument("--plot", metavar="FILE.png", help="draw the results (needs matplotlib)")
    photos = argparse.ArgumentParser(add_help=False)
    photos.add_argument(
        "--photos",
        metavar="DIR|ZIP",
        default=os.environ.get("FASTCONV_DOG_VS_CAT") or None,
        help="photos with train/cat and train/dog; else random images",
    )
    photos.add_argument(
        "--trained",
        type=_positive,
        nargs="?",
        const=200,
        default=0,
        metavar="STEPS",
        help="train on the photos first, 200 steps if no number is given",
    )
    images = argparse.ArgumentParser(add_help=False, parents=[photos])
    images.add_argument("--batch-size", type=_positive, default=32, help="images in a batch")
    images.add_argument("--image-size", type=_positive, default=100, help="rows and columns")
    images.add_argument("--calls", type=_positive, default=5, help="timed calls in a turn")
    return common, photos, images


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    formatter = argparse.ArgumentDefaultsHelpFormatter
    common, photos, images = _shared_options()
    whole = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=formatter)
    commands = whole.add_subparsers(dest="command", required=True)
    models = commands.add_parser(
        "models",
        parents=[common, images],
        formatter_class=formatter,
        help="training steps and predictions of the four models",
    )
    models.add_argument(
        "--models", nargs="+", choices=MODELS, default=["model1", "model2", "model4"]
    )
    models.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    models.add_argument("--peers", nargs="*", choices=PEER_KEYS, default=list(PEER_KEYS))
    networks = commands.add_parser(
        "networks",
        parents=[common, photos],
        formatter_class=formatter,
        help="training steps and predictions of networks with branches",
    )
    networks.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    networks.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    networks.add_argument(
        "--peers", nargs="*", choices=NETWORK_PEER_KEYS, default=list(NETWORK_PEER_KEYS)
    )
    networks.add_argument("--batch-size", type=_positive, help="images in a batch, not each's own")
    networks.add_argument("--budget", type=float, default=0.3, help="seconds of calls in a turn")
    networks.add_argument("--markdown", metavar="FILE", help="write tables for a document")
    networks.add_argument(
        "--results", nargs="+", metavar="FILE", help="what --json wrote, instead of measuring"
    )
    networks.add_argument(
        "--beside", nargs="*", default=[], metavar="DIR", help="other checkouts of fastconv, built"
    )
    loaded = commands.add_parser(
        "loaded",
        parents=[common],
        formatter_class=formatter,
        help="predictions of networks that PyTorch exported to ONNX, beside what runs ONNX",
    )
    loaded.add_argument("--networks", nargs="+", choices=LOADED, default=list(LOADED))
    loaded.add_argument(
        "--peers", nargs="*", choices=LOADED_PEER_KEYS, default=list(LOADED_PEER_KEYS)
    )
    loaded.add_argument("--batch-size", type=_positive, default=32, help="images in a batch")
    loaded.add_argument("--budget", type=float, default=0.3, help="seconds of calls in a turn")
    loaded.add_argument("--markdown", metavar="FILE", help="write the table for a document")
    layers = commands.add_parser(
        "layers",
        parents=[common],
        formatter_class=formatter,
        help="a sweep of convolution layers against PyTorch",
    )
    layers.add_argument("--cases", type=int, default=150, help="drawn cases")
    layers.add_argument("--quick", action="store_true", help="24 drawn cases, no networks, short")
    layers.add_argument(
        "--networks", nargs="*", choices=LAYERS_OF, default=list(LAYERS_OF), help="real layers"
    )
    layers.add_argument("--match", default="", help="only cases whose name contains this")
    layers.add_argument("--budget", type=float, default=0.15, help="seconds of calls in a turn")
    ops = commands.add_parser(
        "ops",
        parents=[common],
        formatter_class=formatter,
        help="a sweep of fastconv.ops beside its layers, PyTorch and SciPy",
    )
    ops.add_argument("--cases", type=int, default=24, help="drawn convolutions; fewer of others")
    ops.add_argument("--networks", nargs="*", choices=NETWORKS, default=[], help="real layers")
    ops.add_argument("--match", default="", help="only cases whose name contains this")
    ops.add_argument("--budget", type=float, default=0.05, help="seconds of calls in a turn")
    torch = commands.add_parser(
        "torch",
        parents=[common],
        formatter_class=formatter,
        help="PyTorch's training steps with fastconv.torch.accelerate and without",
    )
    torch.add_argument(
        "--networks", nargs="+", choices=MODELS + NETWORKS, default=[*MODELS, *NETWORKS]
    )
    torch.add_argument("--batch-size", type=_positive, help="images in a batch, not each's own")
    torch.add_argument("--budget", type=float, default=0.3, help="seconds of calls in a turn")
    scaling = commands.add_parser(
        "scaling",
        parents=[common, images],
        formatter_class=formatter,
        help="fastconv's training step over threads, batch and image size",
    )
    scaling.add_argument("--models", nargs="+", choices=MODELS, default=["model2"])
    busy = commands.add_parser(
        "busy",
        parents=[common],
        formatter_class=formatter,
        help="fastconv's training step on CPUs that others use as well",
    )
    busy.add_argument("--models", nargs="+", choices=MODELS, default=["model1", "model2", "model4"])
    busy.add_argument("--calls", type=_positive, default=40, help="steps in a turn")
    busy.add_argument("--match", default="", help="only loads whose name contains this")
    busy.set_defaults(rounds=5)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    whole = parser()
    options = whole.parse_args(arguments)
    if getattr(options, "trained", 0) and not options.photos:
        whole.error("--trained needs photos: give --photos or set FASTCONV_DOG_VS_CAT")
    # Only the command's own modules: spawned children import this one too.
    command = importlib.import_module(f".{options.command}", __package__)
    try:
        results = command.run(options)
    except ContenderError as error:
        print(f"bench.compare: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if options.json:
        importlib.import_module(".report", __package__).save_json(options.json, results)
    if options.plot:
        importlib.import_module(".plots", __package__).save(options.plot, results)
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number of at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
