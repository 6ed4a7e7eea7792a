"""Every configuration is JSON, whatever numbers the constructor was given, and makes its object."""

from __future__ import annotations

import inspect
import json
from pathlib import PurePath

import numpy as np
import pytest

from fastconv import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from fastconv._core.json_values import Configured, plain
from fastconv.models import Sequential, load_model

F, N, T = np.float32(0.25), np.int64(2), np.bool_(True)
PAIR = np.array([2, 2], np.int32)

#: A NumPy number for every argument that takes numbers, for every class that is saved.
ARGUMENTS = {
    layers.Activation: {"activation": "relu"},
    layers.AveragePooling2D: {
        "pool_size": N, "strides": PAIR, "padding": np.uint8(1), "dilation_rate": N,
        "ceil_mode": T, "count_include_pad": T,
    },
    layers.BatchNormalization: {
        "axis": np.int64(-1), "momentum": F, "epsilon": F, "center": T, "scale": T,
    },
    layers.Conv2D: {
        "filters": N, "kernel_size": PAIR, "strides": N, "padding": np.int64(1),
        "dilation_rate": (np.int8(1), np.int64(1)), "groups": np.int32(1), "use_bias": T,
        "input_shape": np.array([8, 8, 2]),
    },
    layers.Conv2DTranspose: {
        "filters": N, "kernel_size": PAIR, "strides": N, "padding": np.int64(1),
        "output_padding": np.int8(1), "dilation_rate": (np.int8(1), np.int64(1)), "use_bias": T,
    },
    layers.DepthwiseConv2D: {
        "kernel_size": PAIR, "strides": N, "padding": np.int64(1), "depth_multiplier": N,
        "dilation_rate": PAIR, "use_bias": T,
    },
    layers.SeparableConv2D: {
        "filters": N, "kernel_size": PAIR, "strides": N, "padding": np.int64(1),
        "depth_multiplier": N, "dilation_rate": PAIR, "use_bias": T,
    },
    layers.Dense: {"units": N, "use_bias": T, "input_dim": N},
    layers.Dropout: {"rate": F, "noise_shape": [None, np.int64(1)], "seed": np.uint64(7)},
    layers.AlphaDropout: {"rate": F, "noise_shape": [None, N], "seed": N},
    layers.Concatenate: {"axis": np.int64(1)},
    layers.Cropping2D: {"cropping": PAIR},
    layers.Dot: {"axes": PAIR, "normalize": T},
    layers.ELU: {"alpha": F},
    layers.GaussianDropout: {"rate": F, "seed": N},
    layers.GaussianNoise: {"stddev": F, "seed": N},
    layers.GroupNormalization: {
        "groups": N, "axis": np.int64(-1), "epsilon": F, "center": T, "scale": T,
    },
    layers.LayerNormalization: {"axis": PAIR, "epsilon": F, "center": T, "scale": T},
    layers.PReLU: {"shared_axes": np.array([1, 2])},
    layers.Permute: {"dims": np.array([2, 1])},
    layers.RepeatVector: {"n": N},
    layers.Reshape: {"target_shape": np.array([2, -1])},
    layers.SpatialDropout2D: {"rate": F, "seed": N},
    layers.UnitNormalization: {"axis": np.int64(1)},
    layers.UpSampling2D: {"size": PAIR, "interpolation": "bilinear"},
    layers.ZeroPadding2D: {"padding": ((N, 0), PAIR)},
    layers.Flatten: {},
    layers.Identity: {},
    layers.GlobalAveragePooling2D: {"keepdims": T},
    layers.GlobalMaxPooling2D: {"keepdims": T},
    layers.InputLayer: {"shape": (N, N), "batch_size": N, "sparse": np.bool_(False)},
    layers.L2Pooling2D: {
        "pool_size": PAIR, "strides": N, "padding": ((0, N), (N, 0)), "dilation_rate": PAIR,
        "ceil_mode": np.bool_(False),
    },
    layers.MaxPooling2D: {
        "pool_size": N, "strides": N, "padding": np.array([[0, 1], [1, 0]]), "dilation_rate": N,
        "ceil_mode": T,
    },
    layers.LeakyReLU: {"negative_slope": F},
    layers.Softmax: {"axis": np.array([1, 2])},
    layers.ReLU: {"max_value": np.float64(6), "negative_slope": F, "threshold": F},
    layers.CenterCrop: {"height": N, "width": N},
    layers.Normalization: {
        "axis": N, "mean": np.ones(3), "variance": np.ones(3, np.float32), "invert": T,
    },
    layers.RandomBrightness: {"factor": F, "value_range": np.array([0, 1]), "seed": N},
    layers.RandomContrast: {"factor": (F, F), "value_range": (0, N), "seed": N},
    layers.RandomCrop: {"height": N, "width": np.uint8(3), "seed": N},
    layers.RandomErasing: {
        "factor": F, "scale": np.array([0.1, 0.2]), "fill_value": np.arange(3),
        "value_range": (F, N), "seed": N,
    },
    layers.RandomFlip: {"mode": "vertical", "seed": N},
    layers.RandomRotation: {
        "factor": F, "fill_mode": "wrap", "interpolation": "nearest", "seed": N, "fill_value": F,
    },
    layers.RandomTranslation: {
        "height_factor": F, "width_factor": (-F, F), "fill_mode": "wrap",
        "interpolation": "nearest", "seed": N, "fill_value": N,
    },
    layers.RandomZoom: {
        "height_factor": F, "width_factor": np.array([F, F]), "fill_mode": "constant",
        "interpolation": "nearest", "seed": N, "fill_value": N,
    },
    layers.Rescaling: {"scale": np.ones(3), "offset": F},
    layers.Resizing: {
        "height": N, "width": N, "interpolation": "bicubic", "crop_to_aspect_ratio": T,
        "pad_to_aspect_ratio": np.bool_(False), "fill_mode": "constant", "fill_value": F,
        "antialias": T,
    },
    activations.LeakyRelu: {"negative_slope": F},
    activations.Elu: {"alpha": F},
    activations.Gelu: {"approximate": T},
    activations.Relu: {"max_value": N, "negative_slope": F, "threshold": F},
    initializers.Constant: {"value": np.array([0.5, 1.5])},
    initializers.RandomNormal: {"mean": F, "stddev": np.float32(0.05), "seed": N},
    initializers.RandomUniform: {"minval": -F, "maxval": F, "seed": N},
    initializers.TruncatedNormal: {"mean": F, "stddev": np.float32(0.05), "seed": N},
    initializers.VarianceScaling: {"scale": F, "mode": "fan_avg", "seed": N},
    initializers.Orthogonal: {"gain": F, "seed": N},
    initializers.Identity: {"gain": F},
    **{
        cls: {"seed": N}
        for cls in (
            initializers.GlorotUniform, initializers.GlorotNormal, initializers.HeUniform,
            initializers.HeNormal, initializers.LecunUniform, initializers.LecunNormal,
        )
    },
    optimizers.SGD: {"learning_rate": F, "momentum": F, "nesterov": T, "weight_decay": F},
    optimizers.Adam: {
        "learning_rate": F, "beta_1": F, "beta_2": F, "epsilon": F, "amsgrad": T,
        "clipnorm": np.int64(1),
    },
    optimizers.AdamW: {
        "learning_rate": F, "weight_decay": F, "beta_1": F, "beta_2": F, "epsilon": F,
        "amsgrad": T, "global_clipnorm": F,
    },
    optimizers.Nadam: {
        "learning_rate": F, "beta_1": F, "beta_2": F, "epsilon": F, "use_ema": T,
        "ema_momentum": F, "ema_overwrite_frequency": N,
    },
    optimizers.Adadelta: {"learning_rate": F, "rho": F, "epsilon": F},
    optimizers.Adamax: {"learning_rate": F, "beta_1": F, "beta_2": F, "epsilon": F},
    optimizers.Adagrad: {"learning_rate": F, "initial_accumulator_value": F, "epsilon": F},
    optimizers.Lion: {"learning_rate": F, "beta_1": F, "beta_2": F},
    optimizers.RMSprop: {
        "learning_rate": np.int64(1), "rho": F, "momentum": F, "epsilon": F, "centered": T,
        "clipvalue": F,
    },
    optimizers.schedules.ExponentialDecay: {
        "initial_learning_rate": F, "decay_steps": np.int64(10), "decay_rate": F, "staircase": T,
    },
    optimizers.schedules.CosineDecay: {
        "initial_learning_rate": F, "decay_steps": N, "alpha": F, "warmup_target": F,
        "warmup_steps": N,
    },
    optimizers.schedules.CosineDecayRestarts: {
        "initial_learning_rate": F, "first_decay_steps": N, "t_mul": N, "m_mul": F, "alpha": F,
    },
    optimizers.schedules.InverseTimeDecay: {
        "initial_learning_rate": F, "decay_steps": N, "decay_rate": F, "staircase": T,
    },
    optimizers.schedules.PolynomialDecay: {
        "initial_learning_rate": F, "decay_steps": N, "end_learning_rate": F, "power": F,
        "cycle": T,
    },
    optimizers.schedules.PiecewiseConstantDecay: {
        "boundaries": np.array([3, 5]), "values": np.array([0.5, 0.25, 0.125], np.float32),
    },
    regularizers.L1: {"l1": F},
    regularizers.L2: {"l2": F},
    regularizers.L1L2: {"l1": F, "l2": N},
    constraints.MaxNorm: {"max_value": F, "axis": PAIR},
    constraints.MinMaxNorm: {"min_value": F, "max_value": N, "rate": F, "axis": N},
    constraints.NonNeg: {},
    constraints.UnitNorm: {"axis": (N, 0)},
    losses.BinaryCrossentropy: {"from_logits": T, "label_smoothing": F, "axis": N},
    losses.CategoricalCrossentropy: {"from_logits": T, "label_smoothing": F, "axis": N},
    losses.SparseCategoricalCrossentropy: {"from_logits": T, "ignore_class": N, "axis": N},
    losses.BinaryFocalCrossentropy: {
        "from_logits": T, "label_smoothing": F, "axis": N, "apply_class_balancing": T,
        "alpha": F, "gamma": F,
    },
    losses.CategoricalFocalCrossentropy: {
        "from_logits": T, "label_smoothing": F, "axis": N, "alpha": np.array([0.5, 1]), "gamma": F,
    },
    losses.Huber: {"delta": F},
    losses.CosineSimilarity: {"axis": N},
    losses.Dice: {"axis": PAIR},
    losses.Tversky: {"alpha": F, "beta": F, "axis": N},
    losses.MeanSquaredError: {},
    metrics.BinaryAccuracy: {"threshold": F},
    metrics.CategoricalAccuracy: {},
    metrics.SparseCategoricalAccuracy: {},
    metrics.AUC: {
        "num_thresholds": np.int32(4), "curve": "PR", "summation_method": "minoring",
        "thresholds": np.array([0.25, 0.5]), "multi_label": T, "num_labels": N,
        "label_weights": np.array([1, 0.5]), "from_logits": T,
    },
    metrics.Precision: {"thresholds": np.array([0.25, 0.5]), "top_k": N, "class_id": N},
    metrics.Recall: {"thresholds": F, "top_k": N, "class_id": N},
    metrics.SensitivityAtSpecificity: {"specificity": F, "num_thresholds": N, "class_id": N},
    metrics.SpecificityAtSensitivity: {"sensitivity": F, "num_thresholds": N, "class_id": N},
    metrics.PrecisionAtRecall: {"recall": F, "num_thresholds": N, "class_id": N},
    metrics.RecallAtPrecision: {"precision": F, "num_thresholds": N, "class_id": N},
    metrics.TruePositives: {"thresholds": F},
    metrics.FalsePositives: {"thresholds": F},
    metrics.TrueNegatives: {"thresholds": F},
    metrics.FalseNegatives: {"thresholds": F},
    metrics.FBetaScore: {"average": "macro", "beta": F, "threshold": F},
    metrics.F1Score: {"average": "micro", "threshold": F},
    metrics.R2Score: {"class_aggregation": None, "num_regressors": N},
    metrics.TopKCategoricalAccuracy: {"k": N},
    metrics.SparseTopKCategoricalAccuracy: {"k": N, "from_sorted_ids": T},
    metrics.CosineSimilarity: {"axis": N},
    metrics.BinaryCrossentropy: {"from_logits": T, "label_smoothing": F},
    metrics.CategoricalCrossentropy: {"from_logits": T, "label_smoothing": F, "axis": N},
    metrics.SparseCategoricalCrossentropy: {"from_logits": T, "ignore_class": N, "axis": N},
    metrics.BinaryIoU: {"target_class_ids": np.array([1]), "threshold": F},
    metrics.IoU: {
        "num_classes": N, "target_class_ids": np.array([1]), "ignore_class": N,
        "sparse_y_true": T, "sparse_y_pred": T, "axis": N,
    },
    metrics.MeanIoU: {
        "num_classes": N, "ignore_class": N, "sparse_y_true": T, "sparse_y_pred": T, "axis": N,
    },
    metrics.OneHotIoU: {
        "num_classes": N, "target_class_ids": np.array([1]), "ignore_class": N,
        "sparse_y_pred": T, "axis": N,
    },
    metrics.OneHotMeanIoU: {"num_classes": N, "ignore_class": N, "sparse_y_pred": T, "axis": N},
}  # fmt: skip


def _subclasses(cls):
    for child in cls.__subclasses__():
        yield from _subclasses(child)
        if child.__module__.startswith("fastconv.") and not child.__name__.startswith("_"):
            yield child


def _nothing_of_numpy(value):
    if isinstance(value, dict):
        return all(isinstance(k, str) and _nothing_of_numpy(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_nothing_of_numpy, value))
    return type(value) in (str, int, float, bool, type(None))


def test_no_class_and_no_argument_is_forgotten():
    texts = {
        "activation", "activity_regularizer", "arguments", "batch_shape", "batch_size", "sparse",
        "data_format",
        "distribution", "dtype", "fn", "function", "gradient", "input_shape", "interpolation",
        "kwargs", "mode", "name", "old", "options", "output_shape", "reduction", "trainable",
        "unknown",
    }  # fmt: skip
    abstract = {
        "Layer", "ActivatedLayer", "ConvolutionLayer", "Merge", "NoisyShape", "RandomLayer",
        "RectifiedLayer", "Standardization", "Optimizer", "Initializer", "Loss", "Metric",
        "MeanMetric", "LearningRateSchedule", "Regularizer", "Constraint", "Model", "Sequential",
        "LossMetric", "Counting", "TradeOff", "CrossEntropy", "BinaryTargets", "OneHotTargets",
        "ImageLayer", "RandomImageLayer", "SizedLayer",
    }  # fmt: skip
    concrete = {cls for cls in _subclasses(Configured) if cls.__name__ not in abstract}
    concrete.discard(activations.Activation)
    assert {cls for cls in concrete if _numeric(cls, texts)} <= set(ARGUMENTS)
    for cls, given in ARGUMENTS.items():
        assert not _numeric(cls, texts) - set(given), cls


def _numeric(cls, texts):
    return {
        name
        for name in inspect.signature(cls).parameters
        if name not in texts and not name.endswith(("_initializer", "_regularizer", "_constraint"))
    }


@pytest.mark.parametrize("cls", ARGUMENTS, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_configurations_of_numpy_numbers_are_json_and_come_back(cls):
    config = cls(**ARGUMENTS[cls]).get_config()
    assert _nothing_of_numpy(config)
    read = json.loads(json.dumps(config, allow_nan=False))
    assert read == config
    assert cls(**read).get_config() == config


def test_schedules_go_on_as_they_were():
    """A float32 in a schedule is a float from the beginning, and so the rate stays the same."""
    schedule = optimizers.schedules.ExponentialDecay(
        np.float32(0.01), np.int64(10), np.float32(0.9)
    )
    again = optimizers.schedules.get(json.loads(json.dumps(schedule.serialize())))
    assert [schedule(step) for step in range(50)] == [again(step) for step in range(50)]
    assert type(schedule(3)) is float


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: initializers.RandomNormal(stddev="x"), "RandomNormal: stddev is 'x'"),
        (lambda: initializers.RandomUniform(maxval=float("nan")), "RandomUniform: maxval is nan"),
        (lambda: optimizers.schedules.ExponentialDecay(0.1, 10, "x"), "decay_rate is 'x'"),
        (lambda: optimizers.schedules.CosineDecay(0.1, None), "decay_steps is None"),
        (lambda: optimizers.schedules.PiecewiseConstantDecay([1], [0.1, "x"]), "values is 'x'"),
        (lambda: metrics.BinaryAccuracy(threshold="x"), "threshold is 'x'"),
        (lambda: metrics.AUC(num_thresholds=1.5), "num_thresholds is 1.5"),
        (lambda: metrics.AUC(num_thresholds=10**9), "at most 1000000"),
    ],
)
def test_what_is_no_number_is_refused_at_once(make, text):
    with pytest.raises((TypeError, ValueError), match=text):
        make()


def test_a_model_of_numpy_numbers_is_saved_and_trains_on(tmp_path):
    rate = optimizers.schedules.ExponentialDecay(np.float32(0.01), np.int64(10), np.float32(0.9))
    model = Sequential(
        [
            layers.Conv2D(
                N, PAIR, padding=np.int64(1), input_shape=(np.int64(6), 6, 1),
                kernel_initializer=initializers.RandomNormal(stddev=np.float32(0.05)),
            ),
            layers.MaxPooling2D(N),
            layers.Flatten(),
            layers.Dense(np.int32(1), activation="sigmoid"),
        ]
    )  # fmt: skip
    model.compile(
        optimizers.Adam(rate, epsilon=np.float64(1e-7)),
        losses.BinaryCrossentropy(label_smoothing=np.float32(0.1)),
        metrics=[metrics.AUC(np.int64(20)), metrics.BinaryAccuracy(threshold=np.float32(0.5))],
    )
    model.metadata = {"folder": PurePath("a/b"), "sizes": (np.int64(3), np.arange(2)), "on": T}
    model.class_names = np.array(["cat", "dog"])
    x, y = np.random.default_rng(0).random((8, 6, 6, 1), np.float32), np.arange(8) % 2
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert again.metadata == {"folder": "a/b", "sizes": [3, [0, 1]], "on": True}
    assert again.class_names == ["cat", "dog"]
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)


def test_the_configuration_of_a_class_of_ones_own_is_converted():
    class Scale(layers.Layer):
        def __init__(self, factor, **options):
            super().__init__(**options)
            self.factor = factor

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    assert type(Scale(np.float32(0.5)).get_config()["factor"]) is float
    with pytest.raises(TypeError, match=r"Scale: get_config\(\)\['factor'\] is <object"):
        Scale(object()).get_config()


def test_what_is_no_json_is_named():
    with pytest.raises(TypeError, match=r"metadata\['a'\]\[1\] is \{1\}, of set"):
        plain({"a": [0, {1}]}, "metadata")
    with pytest.raises(TypeError, match=r"metadata has the key \(1, 2\)"):
        plain({(1, 2): 0}, "metadata")
