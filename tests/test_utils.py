import random as python_random

import numpy as np
import pytest

from fastconv._core import random
from fastconv.utils import set_random_seed


def test_set_random_seed_seeds_all_three():
    def draw():
        set_random_seed(12)
        return random.next_seed(), np.random.random(), python_random.random()

    assert draw() == draw()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range(seed):
    before = random.get_state()
    with pytest.raises(ValueError, match="seed is"):
        set_random_seed(seed)
    with pytest.raises(TypeError, match="seed is None"):
        set_random_seed(None)
    assert random.get_state() == before
