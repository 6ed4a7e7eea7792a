"""Keras's files with other values, loaded or refused with the errors of any other file."""

from __future__ import annotations

import json
import random
import warnings
import zipfile

import pytest
from fuzz_checkpoint import _VALUES, _places
from keras_2_files import twin

from fastconv.layers import Add, Conv2D, Dense, GlobalAveragePooling2D, Input
from fastconv.models import CheckpointError, Model, load_model


def graph():
    x = Input((6, 6, 3))
    y = Conv2D(3, 3, padding="same", kernel_regularizer="l2")(x)
    z = GlobalAveragePooling2D()(Add()([x, y]))
    dense = Dense(3)
    return Model(x, [dense(z), dense(dense(z))])


@pytest.mark.parametrize("make", [twin, graph])
@pytest.mark.parametrize("seed", range(2))
def test_other_values_are_taken_or_refused(make, seed, tmp_path):
    draw, path = random.Random(seed), tmp_path / "m.keras"
    model = make()
    model.compile("adam", "mse")
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(60):
        tree = json.loads(members["config.json"])
        for _ in range(draw.choice([1, 1, 2])):
            holder, key = draw.choice(list(_places(tree)))
            if draw.randrange(4) == 0:
                del holder[key]
            else:
                holder[key] = draw.choice(_VALUES)
        with zipfile.ZipFile(path, "w") as archive:
            for name, contents in members.items():
                archive.writestr(name, json.dumps(tree) if name == "config.json" else contents)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                load_model(path)
        except CheckpointError as error:
            assert str(path) in str(error)
