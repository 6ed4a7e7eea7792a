"""ImageDataGenerator: random augmentation and normalization of images, in batches."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .dataframe import DataFrameIterator
from .directory import DirectoryIterator
from .iterators import NumpyArrayIterator
from .paths import PathsIterator
from .transform import ImageTransform


class ImageDataGenerator(ImageTransform):
    """Serves images in batches, changed at random and normalized.

    Every image goes through the geometry (one resampling), the channel shift,
    the flips, the brightness and the cutout with values of 0-255; then through
    `preprocessing_function`, `rescale` and the normalizations, in this order.
    Random numbers come from (seed, epoch, image number) alone: batches do not
    depend on the batch size, on threads or on what else is random. What is
    mixed comes last, from (seed, epoch, number of the batch).

    Where Keras differs: `width_shift_range` moves columns and
    `height_shift_range` rows (Keras 3 has them the other way round); a
    `shear_range` below 1 is a fraction, not degrees; "constant" blends into
    `cval` over one pixel and "wrap" repeats after the picture's size (SciPy,
    which Keras uses, cuts sharply and repeats one pixel earlier); order 3 is a
    bicubic kernel, not a spline; brightness is not rounded to whole levels.
    Files are read by `load_img`, which names its own differences.

    Args:
        featurewise_center, featurewise_std_normalization, zca_whitening:
            normalize by what `fit` measured on sample data.
        samplewise_center, samplewise_std_normalization: normalize each image
            by its own mean and standard deviation.
        zca_epsilon: keeps the whitening finite.
        rotation_range: turn by up to so many degrees either way.
        width_shift_range, height_shift_range: shift the columns or the rows
            either way: a float below 1 is a fraction of the size, a float
            from 1 is pixels, an int n is a whole number of pixels below n, a
            sequence lists the amounts.
        shear_range: slant; below 1 it is a fraction (0.2: up to 20 %), from 1
            it is degrees.
        zoom_range: a pair (lowest, highest), or z for (1 - z, 1 + z), drawn
            for width and height apart; below 1 magnifies.
        isotropic_zoom: draw one zoom for both, which keeps the proportions.
        channel_shift_range: add up to so much to all channels, either way.
        brightness_range: a pair of factors.
        cutout: erase a rectangle whose height and width are this share of the
            picture's: a number from 0 to 1 or a pair (lowest, highest), drawn
            for height and width apart. It lies wholly in the picture.
        cutout_probability: the share of the images that have one.
        cutout_value: what is written there, 0-255.
        mixup: blend each image with another one of its batch, and their
            targets alike; the share that stays is drawn from Beta(mixup,
            mixup). 0.2 leaves most images nearly as they are, 1 makes all
            shares alike probable.
        cutmix: paste a rectangle of another image of the batch instead; the
            area that stays is drawn from Beta(cutmix, cutmix). With both, an
            image takes one of them, at even chance.
        mix_probability: the share of the images that mixup and cutmix change.
        fill_mode: what lies outside the picture: "nearest" (aaaa|abcd|dddd),
            "reflect" (dcba|abcd|dcba), "wrap" (abcd|abcd|abcd) or "constant".
        cval: the value of "constant", 0-255.
        horizontal_flip, vertical_flip: mirror every second image on average.
        rescale: factor for all values, such as 1 / 255; None leaves them.
        preprocessing_function: takes and returns one image, after the random
            changes. Slow, as are subclasses that replace a step: Python code
            for each image, where all else runs in one compiled pass. A saved
            model cannot hold it, nor the whitening: the commands `predict` and
            `evaluate` refuse such a model.
        validation_split: the fraction of the data that `subset="validation"`
            takes, from the front.
        interpolation_order: 0 nearest pixel, for masks, 1 linear, 3 cubic; 3 is
            slow, by scikit-image.
        data_format: "channels_last" is the one layout.
        dtype: "float32" is the one type of the batches.

    Each may be assigned, too, and counts from the next batch on.

    `mixup` and `cutmix` are for training alone, and make targets fractions: of one output
    ("binary", with "binary_crossentropy") or one for each class ("categorical"); numbers of more
    than two classes are refused. `accuracy` and `class_weight` go by the class that has the larger
    part of an image; a `sample_weight` is mixed as the targets are. Targets that are images are
    pasted as their images are.

    Images and their masks: two generators with the same random changes, whose iterators have one
    `seed`, batch size and `shuffle`, change the n-th image and the n-th mask alike. Nearest
    pixels make no values that are no class's, in the file's resizing and in the changes:

    >>> changes = dict(rotation_range=20, horizontal_flip=True, rescale=1 / 255)
    >>> images = ImageDataGenerator(**changes).flow_from_directory(
    ...     "data/images", class_mode=None, seed=1
    ... )  # doctest: +SKIP
    >>> masks = ImageDataGenerator(**changes, interpolation_order=0).flow_from_directory(
    ...     "data/masks", class_mode=None, seed=1, color_mode="grayscale", interpolation="nearest"
    ... )  # doctest: +SKIP
    >>> model.fit(zip(images, masks), steps_per_epoch=len(images))  # doctest: +SKIP

    The order of the files' names tells which belong together; changes of values (brightness,
    channels) belong to the images alone, and change no other draw.
    """

    def flow(
        self,
        x: np.ndarray,
        y: np.ndarray | None = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: np.ndarray | None = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
        prefetch: int | str = "auto",
    ) -> NumpyArrayIterator:
        """Return batches of the images `x`, (n, height, width, channels) with values of 0-255.

        Batches are `x`, `(x, y)` or `(x, y, sample_weight)`; see
        NumpyArrayIterator for the arguments.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            ignore_class_split=ignore_class_split,
            subset=subset,
            prefetch=prefetch,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        cache: str | None = "memory",
        cache_limit_mb: float = 1024,
        cache_dir: str | os.PathLike[str] | None = None,
        on_error: str = "skip",
        prefetch: int | str = "auto",
        draft: bool = False,
        progress: bool = True,
        pad_to_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Return batches of the image files in `directory`, one sub-folder per class.

        Prints how many were found. See DirectoryIterator and, in
        `fastconv.preprocessing.file_options`, FileOptions for the arguments; those
        from `cache` on are fastconv's own.
        """
        return DirectoryIterator(
            directory,
            self,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            follow_links=follow_links,
            subset=subset,
            interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio,
            cache=cache,
            cache_limit_mb=cache_limit_mb,
            cache_dir=cache_dir,
            on_error=on_error,
            prefetch=prefetch,
            draft=draft,
            progress=progress,
            pad_to_aspect_ratio=pad_to_aspect_ratio,
        )

    def flow_from_paths(
        self,
        paths: Sequence[str | os.PathLike[str]],
        labels: Sequence[Any] | np.ndarray | None = None,
        **options: Any,
    ) -> PathsIterator:
        """Return batches of the image files named in `paths`, such as a column of a table.

        Prints how many were found. See PathsIterator for `labels` and the
        options: `directory`, `classes`, `class_mode`, `subset` and
        those of FileOptions.

        >>> table = {"file": ["a.jpg", "b.jpg"], "kind": ["cat", "dog"]}
        >>> ImageDataGenerator(rescale=1 / 255).flow_from_paths(
        ...     table["file"], table["kind"], directory="photos", class_mode="binary"
        ... )  # doctest: +SKIP
        """
        return PathsIterator(paths, labels, self, **options)

    def flow_from_dataframe(
        self,
        dataframe: Mapping[str, Any],
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | Sequence[str] | None = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[Any] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **options: Any,
    ) -> DataFrameIterator:
        """Return batches of the image files that a table names in its column `x_col`.

        `dataframe` is one of pandas, or a dict of columns. Prints how many were found. See
        DataFrameIterator for the columns, and FileOptions in
        `fastconv.preprocessing.file_options` for the other options.
        """
        return DataFrameIterator(
            dataframe,
            self,
            directory=directory,
            x_col=x_col,
            y_col=y_col,
            weight_col=weight_col,
            target_size=target_size,
            color_mode=color_mode,
            classes=classes,
            class_mode=class_mode,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            save_to_dir=save_to_dir,
            save_prefix=save_prefix,
            save_format=save_format,
            subset=subset,
            interpolation=interpolation,
            validate_filenames=validate_filenames,
            **options,
        )
