import json

import numpy as np
import pytest

from fastconv._core import random


def test_children_depend_on_the_seed_and_their_number():
    random.seed(3)
    first = [random.next_seed() for _ in range(5)]
    random.seed(3)
    assert [random.next_seed() for _ in range(5)] == first
    random.seed(4)
    assert len({*first, *(random.next_seed() for _ in range(5))}) == 10


def test_state_continues_through_json():
    random.seed(3)
    random.next_seed()
    state = json.loads(json.dumps(random.get_state()))
    expected = random.generator().random(3).tolist()
    random.seed(9)
    random.set_state(state)
    assert random.generator().random(3).tolist() == expected
    assert random.generator(5).random() == random.generator(5).random()


def test_without_a_seed_each_process_differs():
    one, other = random._Root(), random._Root()
    assert one.state()[0] != other.state()[0]


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ({}, "is no state; give what get_state"),
        ({"seed": "a", "count": 0}, "is no state"),
        (None, "is no state"),
        ({"seed": 1, "count": -1}, "holds a negative number"),
        ({"seed": -1, "count": 1}, "holds a negative number"),
    ],
)
def test_bad_states(state, fault):
    with pytest.raises(ValueError, match=rf"^random\.set_state: .* {fault}"):
        random.set_state(state)


def test_bad_seeds():
    with pytest.raises(TypeError, match=r"^random\.seed: seed is 'a'"):
        random.seed("a")
    with pytest.raises(ValueError, match="seed is -1"):
        random.seed(-1)


def test_children_are_those_of_numpys_seed_sequence():
    """So that the same seed makes the same weights in every version."""
    expected = [
        int(np.random.SeedSequence(3, spawn_key=(number,)).generate_state(1, np.uint64)[0])
        for number in range(3)
    ]
    random.seed(3)
    assert [random.next_seed() for _ in range(3)] == expected
    random.set_state({"seed": 0, "count": 0})
    assert random.get_state() == {"seed": 0, "count": 0}
    assert random._Root().state()[1] == 0


def test_a_block_may_draw_apart():
    random.seed(4)
    first, second = random.next_seed(), random.next_seed()
    random.seed(9)
    of_nine = random.next_seed()
    random.seed(4)
    assert random.next_seed() == first
    with pytest.raises(ValueError, match="in the block"), random.apart(9):
        assert random.next_seed() == of_nine
        assert random.get_state() == {"seed": 9, "count": 1}
        raise ValueError("in the block")
    assert random.next_seed() == second
