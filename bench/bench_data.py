"""Input: an augmented batch, its parts, and the readable way it replaces."""

import numpy as np
import pytest

from fastconv.architectures import AUGMENTATION
from fastconv.ops.augmentation import FILL_MODES, transform_images
from fastconv.preprocessing import augmentation
from fastconv.preprocessing.image import ImageDataGenerator

BATCH, SIZE = 32, 100
PLAIN = {"rescale": 1 / 255}
KINDS = {
    "plain": PLAIN,
    "augmented": {**PLAIN, **AUGMENTATION},
    "augmented, brightness and channels": {
        **PLAIN,
        **AUGMENTATION,
        "brightness_range": (0.7, 1.3),
        "channel_shift_range": 30,
    },
    "augmented, standardized": {**AUGMENTATION, "samplewise_std_normalization": True},
}


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (10 * BATCH, SIZE, SIZE, 3), dtype=np.uint8)


class Readable(ImageDataGenerator):
    """Has a step of its own, and so takes the way image by image, by scikit-image."""

    def random_transform(self, x, seed=None):
        return super().random_transform(x, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_batch(benchmark, kind, pixels):
    iterator = ImageDataGenerator(**KINDS[kind]).flow(pixels, batch_size=BATCH, seed=0)
    benchmark(iterator.batch, 0, 1)


def test_batch_by_scikit_image(benchmark, pixels):
    iterator = Readable(**PLAIN, **AUGMENTATION).flow(pixels, batch_size=BATCH, seed=0)
    benchmark(iterator.batch, 0, 1)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_kernel(benchmark, fill_mode, pixels):
    matrix = augmentation.inverse_matrix({"theta": 25, "zx": 1.2, "tx": 10}, SIZE, SIZE)[:2]
    matrices, rows = np.stack([matrix] * BATCH), np.arange(BATCH) * 7
    out = np.empty((BATCH, SIZE, SIZE, 3), np.float32)
    benchmark(transform_images, pixels, rows, matrices, fill_mode=fill_mode, out=out)


def test_matrices(benchmark):
    generator = ImageDataGenerator(**AUGMENTATION)
    parameters = generator.draw_parameters(np.random.default_rng(0).random((BATCH, 12)), SIZE, SIZE)
    benchmark(augmentation.inverse_matrices, parameters, SIZE, SIZE)


def test_matrices_by_scikit_image(benchmark):
    generator = ImageDataGenerator(**AUGMENTATION)
    parameters = [generator.get_random_transform((SIZE, SIZE, 3), seed) for seed in range(BATCH)]
    benchmark(lambda: [augmentation.inverse_matrix(one, SIZE, SIZE) for one in parameters])
