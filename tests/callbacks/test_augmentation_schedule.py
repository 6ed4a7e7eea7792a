"""An augmentation that changes with the epochs, also in runs that are resumed."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import convnet, photos, same_weights

from fastconv.callbacks import AugmentationSchedule, Callback, ModelCheckpoint
from fastconv.models import load_model
from fastconv.preprocessing.image import ImageDataGenerator

OWN = {"rotation_range": 20, "cutout": 0.5, "horizontal_flip": True, "mixup": 0.4}


class Seen(Callback):
    """Keeps what the generator says in each epoch, and the first image of each."""

    def __init__(self, iterator):
        super().__init__()
        self.iterator, self.seen = iterator, []

    def on_train_batch_begin(self, batch, logs=None):
        generator = self.iterator.image_data_generator
        if batch == 0:
            self.seen.append((generator.rotation_range, generator.horizontal_flip, generator.mixup))


def iterator_of(prefetch=0):
    x, y = photos(24)
    generator = ImageDataGenerator(**OWN)
    return generator.flow(x * 255, y, batch_size=8, seed=2, prefetch=prefetch)


def test_options_hold_from_their_epoch_on_and_come_back():
    iterator = iterator_of()
    generator = iterator.image_data_generator
    schedule = AugmentationSchedule(generator, {3: {}, 1: {"horizontal_flip": True}})
    seen = Seen(iterator)
    convnet().fit(iterator, epochs=4, verbose=0, callbacks=[schedule, seen])
    flips = (0, True, 0)
    assert seen.seen == [(20, True, 0.4), flips, flips, (0, False, 0)]
    assert (generator.rotation_range, generator.cutout) == (20, (0.5, 0.5))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_resumed_run_has_the_same_bits(tmp_path, prefetch):
    start = tmp_path / "start.npz"
    convnet(dropout=0.0).save(start)

    def run(path, **options):
        model, iterator = load_model(path), iterator_of(prefetch)
        schedule = AugmentationSchedule(iterator.image_data_generator, {2: {}})
        checkpoint = ModelCheckpoint(tmp_path / "{epoch}.npz")
        model.fit(iterator, verbose=0, callbacks=[schedule, checkpoint], **options)
        return model

    whole = run(start, epochs=4)
    for done in (1, 2, 3):
        path = tmp_path / f"{done}.npz"
        assert same_weights(run(path, epochs=4, resume_from=path), whole)


def test_what_changes_nothing_at_random_is_refused():
    generator = ImageDataGenerator()
    with pytest.raises(ValueError, match="an option is 'rescale'; it must be one of rotation"):
        AugmentationSchedule(generator, {3: {"rescale": 2}})
    with pytest.raises(ValueError, match="cutout is 2; it must be a share"):
        AugmentationSchedule(generator, {3: {"cutout": 2}})
    with pytest.raises(ValueError, match="an epoch of schedule is -1"):
        AugmentationSchedule(generator, {-1: {}})
    assert np.isclose(generator.cutout[1], 0)
