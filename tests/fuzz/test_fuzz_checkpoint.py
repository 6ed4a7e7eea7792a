"""The corpus of the checkpoints' fuzz target, and mutations of it, by way of the target itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fuzz_checkpoint import Target, with_another_value

CORPUS = sorted((Path(__file__).parent / "corpus" / "checkpoint").iterdir())

# What somebody might write in the place of what stands in a checkpoint.
_TOKENS = (
    b'0 1 -1 1.5 1e999 NaN null true [] {} 99999999999999999999 1000000 2147483648 "x" "" '
    b"[[[[ }}}} units shape array object items number rate seed epoch pass members \\ud800"
).split()

pytestmark = pytest.mark.filterwarnings("ignore:.*nothing is trained")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return Target(str(tmp_path_factory.mktemp("fuzz")))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_is_read(target, path):
    assert target(path.read_bytes()) == (not path.name.startswith("bad"))


@pytest.mark.parametrize("seed", range(4))
def test_other_values_are_taken_or_refused(target, seed):
    draw = random.Random(seed)
    inputs = [path.read_bytes() for path in CORPUS if path.name.startswith("parts")]
    for _ in range(250):
        data = draw.choice(inputs)
        for _ in range(draw.choice([1, 1, 2, 4])):
            data = with_another_value(data, draw)
        target(data)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_mutations_are_taken_or_refused(target, path, seed):
    draw, whole = random.Random(seed), path.read_bytes()
    for _ in range(100):
        data = bytearray(whole)
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            at, size = draw.randrange(len(data)), draw.choice([1, 1, 2, 8, 100])
            change = draw.randrange(5)
            if change == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif change == 1:
                del data[at : at + size]
            elif change == 2:
                data[at:at] = data[draw.randrange(len(data)) :][:size]
            elif change == 3:
                data[at : at + size] = draw.choice(_TOKENS)
            else:
                number = data.find(b": ", at) + 2
                data[number : number + 1] = draw.choice(_TOKENS)
        target(bytes(data))
