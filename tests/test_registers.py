"""What the compiler made of the register tiles: their sums must not live on the stack.

A tile whose sums GCC takes for an array in memory is right and three times as slow, on one
level alone, so that no other test would notice.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import _fastconv
import pytest

MODULES = ("conv", "conv_gradient", "dense", "depthwise", "fused", "sparse", "winograd")
LEVELS = [
    level
    for level in _fastconv.cpu.LEVELS
    if any(any(Path(folder, level).glob("conv.*.so")) for folder in _fastconv.__path__)
]
LEAST_PRODUCTS = 6
"""Multiplications of vectors that make a loop a tile's."""
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*(.*)$")
PRODUCT = re.compile(r"v?mulp[sd]|vfn?m(add|sub)\d+p[sd]")
STACK = re.compile(r"%[xyz]mm\d+,(0x[0-9a-f]+)?\(%rsp\)")


def instructions(path: Path) -> list[tuple[int, str, str]]:
    """Return (address, mnemonic, operands) of a compiled module's code."""
    command = ["objdump", "-d", "--no-show-raw-insn", "-j", ".text", str(path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = map(INSTRUCTION.match, listing.splitlines())
    return [(int(line[1], 16), line[2], line[3]) for line in found if line]


def innermost_loops(code: list[tuple[int, str, str]]) -> Iterator[list[tuple[int, str, str]]]:
    """Yield what lies between a jump back and its target, with no other jump back inside."""
    places = {address: place for place, (address, _, _) in enumerate(code)}
    begin = 0
    for end, (_, mnemonic, operands) in enumerate(code):
        target = re.match(r"([0-9a-f]+)", operands)
        if not mnemonic.startswith("j") or not target:
            continue
        start = places.get(int(target[1], 16), end + 1)
        if begin <= start <= end:
            yield code[start : end + 1]
        if start <= end:
            begin = end + 1


def kept_on_the_stack(loop: list[tuple[int, str, str]]) -> bool:
    """Whether a tile's loop stores to the stack half as often as it multiplies, or more."""
    products = sum(PRODUCT.fullmatch(mnemonic) is not None for _, mnemonic, _ in loop)
    stores = sum(STACK.fullmatch(operands) is not None for _, _, operands in loop)
    return products >= LEAST_PRODUCTS and 2 * stores >= products


@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump, of binutils")
@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="knows x86 on Linux"
)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("module", MODULES)
def test_sums_of_tiles_stay_in_registers(module, level):
    (path,) = (
        path for folder in _fastconv.__path__ for path in Path(folder, level).glob(f"{module}.*.so")
    )
    loops = list(innermost_loops(instructions(path)))
    tiles = [loop for loop in loops if kept_on_the_stack(loop)]
    assert loops
    assert not tiles, "\n".join(
        f"{address:x}: {mnemonic} {operands}" for address, mnemonic, operands in tiles[0]
    )
