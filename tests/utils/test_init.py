import random as python_random

import numpy as np
import pytest
from small_models import convnet, photos

from fastconv import utils
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


def test_every_name_is_there_and_says_what_it_is():
    for name in utils.__all__:
        assert getattr(utils, name).__doc__
    assert utils.Sequence is utils.PyDataset


class Photos(utils.PyDataset):
    def __init__(self, x, y, **options):
        super().__init__(**options)
        self.x, self.y, self.ended = x, y, 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.x[index::3], self.y[index::3]

    def on_epoch_end(self):
        self.ended += 1


def test_a_data_set_of_ones_own_trains():
    x, y = photos(12)
    data = Photos(x, y, workers=2, use_multiprocessing=True, max_queue_size=3)
    assert data.num_batches == 3 and len(list(data)) == 3
    set_random_seed(0)
    model = convnet()
    model.fit(data, epochs=2, validation_data=data, verbose=0)
    assert data.ended == 2 and model.optimizer.iterations == 6
    assert model.predict(data).shape == (12, 1)
    with pytest.raises(NotImplementedError, match="PyDataset must define __len__"):
        len(utils.PyDataset())
    with pytest.raises(ValueError, match="Photos: workers is -1"):
        Photos(x, y, workers=-1)
