"""`tf.config` and `tf.test`: there are CPUs alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..._core import runtime

__all__ = [
    *("enable_tensor_float_32_execution", "experimental_run_functions_eagerly"),
    *("get_visible_devices", "gpu_device_name", "is_built_with_cuda", "is_gpu_available"),
    *("list_logical_devices", "list_physical_devices", "run_functions_eagerly"),
    *("set_memory_growth", "set_visible_devices", "threading", "enable_op_determinism"),
]


class PhysicalDevice(NamedTuple):
    """Something that computes."""

    name: str
    device_type: str


_CPU = PhysicalDevice("/physical_device:CPU:0", "CPU")


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """Return the CPU, where it is asked for."""
    return [_CPU] if device_type in (None, "CPU") else []


list_logical_devices = get_visible_devices = list_physical_devices


def set_memory_growth(device: Any, enable: bool) -> None:
    """Do nothing: memory is taken as it is needed."""


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Do nothing where the CPU stays; raise ValueError where it would be hidden."""
    if device_type == "CPU" and not devices:
        raise ValueError("set_visible_devices: the CPU is hidden; fastconv computes nowhere else")


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Do nothing: there are no graphs to trace."""


experimental_run_functions_eagerly = run_functions_eagerly


def enable_tensor_float_32_execution(enabled: bool) -> None:
    """Do nothing: all is float32."""


def enable_op_determinism() -> None:
    """Do nothing: results are the same bits anyway."""


def gpu_device_name() -> str:
    """Return "": there is none."""
    return ""


def is_gpu_available(*arguments: Any, **options: Any) -> bool:
    return False


def is_built_with_cuda() -> bool:
    return False


class threading:
    """`tf.config.threading`."""

    @staticmethod
    def set_intra_op_parallelism_threads(num_threads: int) -> None:
        """Compute with so many threads; 0 leaves the number as it is."""
        if num_threads:
            runtime.set_num_threads(num_threads)

    @staticmethod
    def get_intra_op_parallelism_threads() -> int:
        return runtime.get_num_threads()

    @staticmethod
    def set_inter_op_parallelism_threads(num_threads: int) -> None:
        """Do nothing: one operation runs at a time."""
