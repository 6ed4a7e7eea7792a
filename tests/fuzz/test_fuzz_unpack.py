"""The fuzz target's corpus, and inputs near it, hold the unpacker's promises without a fuzzer."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent
INPUTS = sorted((FUZZ / "corpus" / "unpack").iterdir())
sys.path.insert(0, str(FUZZ))

from fuzz_unpack import check  # noqa: E402


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_an_input_of_the_corpus(path):
    check(path.read_bytes())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_inputs_that_differ_in_a_few_bytes(path):
    draw, data = random.Random(path.name), path.read_bytes()
    for _ in range(40):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 4))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        check(bytes(changed[: draw.choice((len(changed), draw.randrange(len(changed)))) + 1]))
