"""The chapter's models through their public face: a training step, predictions."""

import pytest

from fastconv import architectures
from fastconv.utils import set_random_seed


@pytest.fixture(params=["model1", "model2", "model3", "model4"])
def model(request):
    set_random_seed(0)
    architecture = architectures.get(request.param)
    return architecture.recipe.compile(architecture())


def test_training_step(benchmark, model, photos):
    benchmark(model.train_on_batch, *photos)


@pytest.mark.parametrize("images", [32, 1])
def test_prediction(benchmark, model, photos, images):
    benchmark(model.predict_on_batch, photos[0][:images])
