"""What an error says of a name of Keras that fastconv does not have, and old names of modules."""

from __future__ import annotations

import opcode
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

_SEQUENCES = "fastconv has layers for images and vectors, none for sequences, text or volumes"
_TENSORS = (
    "functions of tensors that are differentiated by themselves are no part of fastconv; use "
    "layers and their operators, or a Lambda, a Layer or a loss in NumPy with its gradient"
)
_PRETRAINED = (
    "weights that others trained are no part of fastconv; build the network of layers, or train "
    "one of fastconv.architectures and call it inside another model"
)
_DOWNLOADS = (
    "fastconv downloads no such data set; read its files into NumPy arrays, for example with "
    "numpy.load"
)

_MIXING = (
    "pictures are mixed with their labels where batches are made: ImageDataGenerator(mixup=...) "
    "and ImageDataGenerator(cutmix=...)"
)

#: Why names are missing, by the end of the module's name; "" says it of all others there.
_REASONS: dict[str, dict[str, str]] = {
    "fastconv": {
        "applications": _PRETRAINED,
        "mixed_precision": "weights and outputs are float32",
        "random": "use numpy.random; fastconv.utils.set_random_seed seeds it as well",
    },
    "backend": {"": _TENSORS},
    "ops": {"": _TENSORS},
    "datasets": {"": _DOWNLOADS},
    "layers": dict.fromkeys(
        (
            *("Embedding", "LSTM", "GRU", "SimpleRNN", "RNN", "LSTMCell", "GRUCell"),
            *("Bidirectional", "TimeDistributed", "ConvLSTM2D", "Masking", "TextVectorization"),
            *("Conv1D", "Conv3D", "Convolution1D", "Convolution3D", "SeparableConv1D"),
            *("Conv1DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "SpatialDropout1D"),
            *("MaxPooling1D", "MaxPooling3D", "AveragePooling1D", "AveragePooling3D"),
            *("MaxPool1D", "MaxPool3D", "AvgPool1D", "AvgPool3D", "SpatialDropout3D"),
            *("GlobalMaxPooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling3D"),
            *("GlobalAveragePooling3D", "UpSampling1D", "UpSampling3D", "ZeroPadding1D"),
            *("ZeroPadding3D", "Cropping1D", "Cropping3D", "CuDNNLSTM", "CuDNNGRU"),
            *("Attention", "AdditiveAttention", "MultiHeadAttention"),
        ),
        _SEQUENCES,
    )
    | dict.fromkeys(("MixUp", "CutMix"), _MIXING),
    "utils": {
        "get_file": _DOWNLOADS,
        **dict.fromkeys(("pad_sequences", "text_dataset_from_directory"), _SEQUENCES),
    },
    "preprocessing": {"sequence": _SEQUENCES, "text": _SEQUENCES},
}


class MissingName(AttributeError):
    """A name of Keras that fastconv does not have, for a reason."""


def missing_names(module: str) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module, which tells why a name of Keras is missing."""

    def __getattr__(name: str) -> Any:
        raise missing_name(module, name)

    return __getattr__


def missing_name(module: str, name: str) -> AttributeError | ImportError:
    """Return the error for a name that a module does not have, with the reason if there is one.

    To be raised by the module's `__getattr__`, which calls this itself.
    """
    reason = reason_for(module, name)
    if reason and is_import(sys._getframe(2)):
        # What an AttributeError says would be lost.
        return ImportError(f"cannot import name {name!r} from {module!r}: {reason}", name=module)
    error = f"module {module!r} has no attribute {name!r}"
    if reason:
        return MissingName(f"{error}; {reason}", name=name)
    return AttributeError(error, name=name)


def reason_for(module: str, name: str) -> str:
    """Return why a module does not have what Keras has under this name, "" where nobody says."""
    reasons = _REASONS.get(module.rpartition(".")[2], {})
    # Python and tools ask for names such as __path__ and _repr_html_.
    return reasons.get(name) or ("" if name.startswith("_") else reasons.get("", ""))


def is_import(frame: FrameType) -> bool:
    """Whether a frame is at `from module import name`, where no module `name` was found."""
    return frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_FROM"]


def old_modules(module: str, *names: str) -> None:
    """Let `from module.name import ...` find what has moved into `module` itself.

    Keras 1 and 2 had `layers.core`, `layers.convolutional` or `utils.np_utils`.
    """
    home = sys.modules[module]
    for name in names:
        sys.modules.setdefault(f"{module}.{name}", home)
        if "." not in name:
            setattr(home, name, home)
