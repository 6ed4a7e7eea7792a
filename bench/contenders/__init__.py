"""Who takes part: each contender's class, what it needs, and what it can do.

Peers are never requirements.  One that is not installed is named with the
command that installs it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace
from typing import Any

TRAIN, PREDICT = "train", "predict"


@dataclass(frozen=True)
class Entry:
    """A contender: where its class is and what it needs installed.

    `converter` is the class that writes the file which it reads, if it does; `exact` are further
    options, which it gets where it is not exact enough without; `paths` come first where its
    process looks for modules; `threads` is 0 for those that all have.
    """

    label: str
    target: str
    key: str
    modes: tuple[str, ...] = (TRAIN, PREDICT)
    modules: tuple[str, ...] = ()
    install: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    converter: str = ""
    exact: dict[str, Any] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    threads: int = 0

    @property
    def missing(self) -> str | None:
        """A note on what has to be installed, or None."""
        absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        return f"{self.label}: {' and '.join(absent)} not installed; `{self.install}` adds it"


_HERE = "bench.contenders"
_TORCH = {"key": "torch", "modules": ("torch",), "install": "pip install torch==2.13.0"}
_TORCH_MODEL = f"{_HERE}.torch_model:TorchModel"

_ONNX_CONVERTER = f"{_HERE}.onnx_network:OnnxConverter"

RUNTIMES = (
    Entry(
        "ONNX Runtime",
        f"{_HERE}.runtimes:OnnxRuntime",
        "onnxruntime",
        modes=(PREDICT,),
        modules=("onnx", "onnxruntime"),
        install="pip install onnx onnxruntime",
        converter=_ONNX_CONVERTER,
    ),
    Entry(
        "OpenVINO",
        f"{_HERE}.runtimes:OpenVino",
        "openvino",
        modes=(PREDICT,),
        modules=("onnx", "openvino"),
        install="pip install onnx openvino",
        converter=_ONNX_CONVERTER,
    ),
    Entry(
        "LiteRT",
        f"{_HERE}.runtimes:LiteRt",
        "litert",
        modes=(PREDICT,),
        modules=("ai_edge_litert", "keras", "tensorflow"),
        install="pip install ai-edge-litert keras tensorflow-cpu",
        converter=f"{_HERE}.keras_network:LiteRtConverter",
    ),
    Entry(
        "ncnn",
        f"{_HERE}.runtimes:Ncnn",
        "ncnn",
        modes=(PREDICT,),
        modules=("ncnn", "pnnx", "torch"),
        install="pip install ncnn pnnx torch",
        converter=f"{_HERE}.converters:NcnnConverter",
        exact={"halves": False},
    ),
    Entry(
        "MNN",
        f"{_HERE}.runtimes:Mnn",
        "mnn",
        modes=(PREDICT,),
        modules=("MNN", "onnx"),
        install="pip install MNN onnx",
        converter=f"{_HERE}.converters:MnnConverter",
        exact={"large_tiles": False},
    ),
)
"""Those that only predict."""

FASTCONV = Entry("fastconv", f"{_HERE}.fastconv_model:FastconvModel", "fastconv")

PEERS = (
    Entry("PyTorch eager", _TORCH_MODEL, **_TORCH),
    Entry("PyTorch channels_last", _TORCH_MODEL, options={"channels_last": True}, **_TORCH),
    Entry("torch.compile", _TORCH_MODEL, options={"compiled": True}, **_TORCH),
    Entry(
        "torch.compile channels_last",
        _TORCH_MODEL,
        options={"compiled": True, "channels_last": True},
        **_TORCH,
    ),
    Entry(
        "Keras 3 on TensorFlow",
        f"{_HERE}.keras_model:KerasModel",
        "keras",
        modules=("keras", "tensorflow"),
        install="pip install keras tensorflow-cpu",
    ),
    Entry(
        "JAX",
        f"{_HERE}.jax_model:JaxModel",
        "jax",
        modules=("jax",),
        install="pip install jax",
    ),
    *RUNTIMES,
)

PEER_KEYS = tuple(dict.fromkeys(peer.key for peer in PEERS))

NETWORK = Entry("fastconv", f"{_HERE}.fastconv_network:FastconvNetwork", "fastconv")
_TORCH_NETWORK = f"{_HERE}.torch_network:TorchNetwork"
NETWORK_PEERS = (
    Entry("PyTorch eager", _TORCH_NETWORK, **_TORCH),
    Entry("PyTorch channels_last", _TORCH_NETWORK, options={"channels_last": True}, **_TORCH),
    Entry(
        "torch.compile",
        _TORCH_NETWORK,
        options={"compiled": True, "channels_last": True},
        **_TORCH,
    ),
    Entry(
        "Keras 3 on TensorFlow",
        f"{_HERE}.keras_network:KerasNetwork",
        "keras",
        modes=(TRAIN,),
        modules=("keras", "tensorflow"),
        install="pip install keras tensorflow-cpu",
    ),
    *RUNTIMES,
)

_ONNX_FILES = f"{_HERE}.onnx_files"
LOADED = Entry(
    "fastconv",
    f"{_ONNX_FILES}:Loaded",
    "fastconv",
    modes=(PREDICT,),
    converter=f"{_ONNX_FILES}:FileConverter",
)
"""A network that PyTorch has exported to ONNX, loaded by fastconv."""
LOADED_PEERS = tuple(
    replace(peer, converter=f"{_ONNX_FILES}:{converter}")
    for key, converter in (
        ("onnxruntime", "FileConverter"),
        ("openvino", "FileConverter"),
        ("ncnn", "NcnnFileConverter"),
    )
    for peer in RUNTIMES
    if peer.key == key
)
LOADED_PEER_KEYS = tuple(peer.key for peer in LOADED_PEERS)

NETWORK_PEER_KEYS = tuple(dict.fromkeys(peer.key for peer in NETWORK_PEERS))


def available(
    keys: tuple[str, ...] = PEER_KEYS, peers: tuple[Entry, ...] = PEERS
) -> tuple[list[Entry], list[str]]:
    """Return the installed peers among `keys`, and a note on each of the others."""
    chosen = [peer for peer in peers if peer.key in keys]
    notes = dict.fromkeys(peer.missing for peer in chosen if peer.missing)
    return [peer for peer in chosen if not peer.missing], list(notes)
