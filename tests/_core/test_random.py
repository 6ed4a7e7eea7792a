import json

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


@pytest.mark.parametrize("state", [{}, {"seed": "a", "count": 0}, None, {"seed": 1, "count": -1}])
def test_bad_states(state):
    with pytest.raises(ValueError, match=r"random\.set_state"):
        random.set_state(state)


def test_bad_seeds():
    with pytest.raises(TypeError, match="seed is 'a'"):
        random.seed("a")
    with pytest.raises(ValueError, match="seed is -1"):
        random.seed(-1)
