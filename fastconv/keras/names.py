"""Which modules Keras and TensorFlow have, and where fastconv's part of each is found.

Data alone: what serves them is in `finder.py`.
"""

from __future__ import annotations

#: What names the same tree of modules, the longest first: prefix -> (tree, path within it).
PREFIXES: tuple[tuple[str, str, str], ...] = (
    ("tensorflow.compat.v1.keras", "keras", ""),
    ("tensorflow.compat.v2.keras", "keras", ""),
    ("tensorflow.python.keras", "keras", ""),
    ("tensorflow.keras", "keras", ""),
    ("tensorflow.compat.v1", "tensorflow", ""),
    ("tensorflow.compat.v2", "tensorflow", ""),
    ("tensorflow", "tensorflow", ""),
    ("keras_preprocessing", "keras", "preprocessing"),
    ("keras_core", "keras", ""),
    ("tf_keras", "keras", ""),
    ("keras", "keras", ""),
)
ROOTS = frozenset(prefix.partition(".")[0] for prefix, _, _ in PREFIXES)

_HERE = "fastconv.keras.faces"
#: The modules in which a module's names are looked up, first to last.  None at all: Keras has
#: this module, and fastconv has nothing of it.
KERAS: dict[str, tuple[str, ...]] = {
    "": (f"{_HERE}.keras_top", "fastconv"),
    "activations": ("fastconv.activations",),
    "applications": (),
    "backend": (f"{_HERE}.backend", "fastconv.backend"),
    "callbacks": ("fastconv.callbacks",),
    "config": (f"{_HERE}.config", "fastconv.config"),
    "constraints": ("fastconv.constraints",),
    "datasets": (),
    "datasets.cifar10": (f"{_HERE}.cifar10",),
    "datasets.cifar100": (f"{_HERE}.cifar100",),
    "datasets.fashion_mnist": (f"{_HERE}.fashion_mnist",),
    "datasets.mnist": (f"{_HERE}.mnist",),
    "initializers": ("fastconv.initializers",),
    "layers": ("fastconv.layers",),
    "layers.experimental": ("fastconv.layers",),
    "layers.experimental.preprocessing": ("fastconv.layers",),
    "losses": ("fastconv.losses",),
    "metrics": ("fastconv.metrics",),
    "mixed_precision": (f"{_HERE}.mixed_precision",),
    "models": ("fastconv.models",),
    "ops": (f"{_HERE}.ops",),
    "optimizers": ("fastconv.optimizers",),
    "optimizers.schedules": ("fastconv.optimizers.schedules",),
    "preprocessing": (f"{_HERE}.preprocessing", "fastconv.preprocessing"),
    "preprocessing.image": (f"{_HERE}.preprocessing", "fastconv.preprocessing.image"),
    "preprocessing.sequence": (),
    "preprocessing.text": (),
    "random": (),
    "regularizers": ("fastconv.regularizers",),
    "saving": (f"{_HERE}.saving", "fastconv.models", "fastconv.utils"),
    "utils": (f"{_HERE}.utils", "fastconv.utils"),
    "wrappers": (),
    "wrappers.scikit_learn": (),
}
#: Older addresses: path -> the path where it is now.
OLD: dict[str, str] = {
    **dict.fromkeys(
        (
            *("engine", "engine.base_layer", "engine.topology", "engine.input_layer"),
            *("layers.advanced_activations", "layers.convolutional", "layers.core"),
            *("layers.embeddings", "layers.local", "layers.merge", "layers.noise"),
            *("layers.normalization", "layers.normalization.batch_normalization"),
            *("layers.pooling", "layers.preprocessing", "layers.recurrent", "layers.wrappers"),
        ),
        "layers",
    ),
    **dict.fromkeys(("engine.training", "engine.sequential", "engine.functional"), "models"),
    **dict.fromkeys(
        (
            *("utils.generic_utils", "utils.np_utils", "utils.vis_utils", "utils.data_utils"),
            *("utils.image_utils", "utils.io_utils", "utils.layer_utils"),
        ),
        "utils",
    ),
    **dict.fromkeys(("optimizers.legacy", "optimizers.experimental"), "optimizers"),
    "backend.tensorflow_backend": "backend",
    "callbacks.callbacks": "callbacks",
    "mixed_precision.experimental": "mixed_precision",
    "preprocessing.image_dataset": "preprocessing",
}
#: Networks of Keras's `applications`, each a module as well.
APPLICATIONS = (
    *("convnext", "densenet", "efficientnet", "efficientnet_v2", "imagenet_utils"),
    *("inception_resnet_v2", "inception_v3", "mobilenet", "mobilenet_v2", "mobilenet_v3"),
    *("nasnet", "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception"),
)
KERAS.update({f"applications.{name}": () for name in APPLICATIONS})
KERAS.update({f"datasets.{name}": () for name in ("boston_housing", "imdb", "reuters")})
KERAS.update({old: KERAS[new] for old, new in OLD.items()})

TENSORFLOW: dict[str, tuple[str, ...]] = {
    "": (f"{_HERE}.tensorflow_top", f"{_HERE}.dtypes", f"{_HERE}.arrays"),
    "compat": (),
    "config": (f"{_HERE}.tensorflow_config",),
    "config.experimental": (f"{_HERE}.tensorflow_config",),
    "data": (f"{_HERE}.tensorflow_data",),
    "data.experimental": (f"{_HERE}.tensorflow_data",),
    "dtypes": (f"{_HERE}.dtypes",),
    "errors": (),
    "image": (f"{_HERE}.tensorflow_image",),
    "initializers": ("fastconv.initializers",),
    "io": (f"{_HERE}.tensorflow_io",),
    "io.gfile": (f"{_HERE}.tensorflow_io",),
    "linalg": (f"{_HERE}.arrays",),
    "logging": (f"{_HERE}.tensorflow_logging",),
    "losses": ("fastconv.losses",),
    "math": (f"{_HERE}.arrays",),
    "nn": (f"{_HERE}.tensorflow_nn",),
    "optimizers": ("fastconv.optimizers",),
    "python": (),
    "random": (f"{_HERE}.tensorflow_random",),
    "summary": (),
    "test": (f"{_HERE}.tensorflow_config",),
    "train": (),
    "version": (f"{_HERE}.tensorflow_version",),
}
TREES = {"keras": KERAS, "tensorflow": TENSORFLOW}

_GRADIENTS = (
    "nothing is differentiated by itself but losses, metrics and Lambdas; use train_on_batch, or a "
    "Layer or loss in NumPy with its gradient"
)
_GRAPHS = "there are no sessions or graphs of TensorFlow 1; write what Keras 3 would have"
_MODELS = (
    "weights that others trained are no part of fastconv; build the network of layers, or train "
    "one of fastconv.architectures and call it inside another model"
)
_WORDS = "fastconv has layers for images and vectors, none for sequences, text or volumes"
_RECORDS = "read the images by image_dataset_from_directory, or into NumPy arrays"
#: Why a name is missing that no module of fastconv tells of, by whole name; "x.*": all of x.
REASONS: dict[str, str] = {
    "keras.applications.*": _MODELS,
    "keras.datasets.*": "its files are not read; load your data into NumPy arrays",
    "keras.preprocessing.sequence.*": _WORDS,
    "keras.preprocessing.text.*": _WORDS,
    "keras.random.*": "use numpy.random; keras.utils.set_random_seed seeds it as well",
    "keras.wrappers.*": "train by fit, or by a class of your own with fit and predict",
    "keras.utils.multi_gpu_model": "fastconv computes on the CPU, with all its threads",
    "keras.utils.model_to_dot": "plot_model draws the model, as a picture or as .dot",
    "keras.utils.timeseries_dataset_from_array": _WORDS,
    "keras.layers.TFSMLayer": "a SavedModel is no part of fastconv",
    "keras.layers.MultiHeadAttention": _WORDS,
    "keras.callbacks.RemoteMonitor": "use LambdaCallback, and send what it gets",
    "keras.callbacks.ProgbarLogger": "fit(verbose=1) shows progress",
    "tensorflow.GradientTape": _GRADIENTS,
    "tensorflow.gradients": _GRADIENTS,
    "tensorflow.Variable": "use a Layer's add_weight, or a NumPy array",
    "tensorflow.placeholder": _GRAPHS,
    "tensorflow.saved_model.*": "use model.save; model.export writes ONNX",
    "tensorflow.lite.*": "use model.save; model.export writes ONNX",
    "tensorflow.data.TFRecordDataset": _RECORDS,
    "tensorflow.io.*": _RECORDS,
    "tensorflow.train.*": "use keras.callbacks.ModelCheckpoint and keras.optimizers",
    "tensorflow.summary.*": "use keras.callbacks.TensorBoard, or its package tensorboard",
    "tensorflow.contrib.*": _GRAPHS,
    "tensorflow.distribute.*": "fastconv trains on this machine's CPUs, with all its threads",
    "tensorflow.lookup.*": _WORDS,
    "tensorflow.strings.*": "use Python's own functions of strings, in a map before arrays",
}
