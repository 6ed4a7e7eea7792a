"""`keras.mixed_precision`: all is float32."""

from __future__ import annotations

from typing import Any

__all__ = ["global_policy", "set_global_policy"]


def global_policy() -> str:
    """Return "float32"."""
    return "float32"


def set_global_policy(policy: Any) -> None:
    """Accept "float32"; raise ValueError for every other type."""
    name = getattr(policy, "name", policy)
    if name != "float32":
        raise ValueError(
            f"set_global_policy: policy is {name!r}; it must be 'float32': leave the line out"
        )


set_policy = set_global_policy
