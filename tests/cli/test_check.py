"""`fastconv.check` on folders of real files: what it counts, finds, says and returns."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_folder, write_image
from PIL import Image, ImageEnhance

from fastconv.check import main
from fastconv.cli.main import main as cli
from fastconv.preprocessing.duplicates import SIDE, find_duplicates, fingerprint
from fastconv.preprocessing.inspection import inspect


@pytest.fixture
def data(tmp_path):
    """train and validation of two classes, all pictures different."""
    root = tmp_path / "set"
    write_folder(root / "train", {"cat": 5, "dog": 4}, first_seed=0)
    write_folder(root / "validation", {"cat": 3, "dog": 3}, first_seed=50)
    return root


def found(root, **options):
    return {finding.code: finding for finding in inspect(root, **options).findings}


def test_a_valid_data_set(data, capsys):
    assert main([str(data)]) == 0
    output = capsys.readouterr().out
    assert "train: 9 images of 2 classes" in output and "validation: 6 images" in output
    assert "0  cat  5" in output and "1  dog  4" in output
    assert "width: 30 to 30 pixels, median 30" in output
    assert output.endswith("Nothing needs you.\n")
    assert main([str(data / "train")]) == 0
    assert cli(["check", str(data)]) == 0


def test_json(data, capsys):
    (data / "train" / "cat" / "bad.jpg").write_bytes(b"")
    (data / "train" / "cat" / "notes.txt").write_text("no image")
    shutil.copy(data / "train/cat/cat.0.jpg", data / "validation/cat/같은.jpg")
    assert main([str(data), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    train, validation = report["parts"]
    assert train["classes"] == [
        {"name": "cat", "number": 0, "images": 5},
        {"name": "dog", "number": 1, "images": 4},
    ]
    assert train["images"] == 9 and validation["images"] == 7 and train["ignored_files"] == 1
    assert train["sizes"]["height"] == {"smallest": 24, "median": 24, "largest": 24}
    assert train["unreadable"][0]["path"].endswith("bad.jpg")
    assert train["unreadable"][0]["reason"] == "the file is empty"
    (group,) = report["duplicates"]
    assert group["exact"]
    assert [Path(path).name for path in group["paths"]] == ["cat.0.jpg", "같은.jpg"]
    assert {finding["code"] for finding in report["findings"]} == {"unreadable", "ignored", "leak"}


def test_pictures_in_train_and_validation_need_the_user(data):
    assert not found(data)
    shutil.copy(data / "train/dog/dog.1.jpg", data / "validation/dog/copy.jpg")
    leak = found(data)["leak"]
    assert leak.act and "1 picture, identical, in more than one part" in leak.text
    assert "dog.1.jpg" in leak.text and "copy.jpg" in leak.text


def test_near_duplicates_of_every_kind_are_found(data):
    with Image.open(data / "train/cat/cat.2.jpg") as opened:
        image = opened.convert("RGB")
    versions = {
        "small.png": image.resize((20, 16)),
        "large.jpg": image.resize((300, 240), Image.Resampling.BICUBIC),
        "light.jpg": ImageEnhance.Brightness(image).enhance(1.04),
        "grey.png": image.convert("L"),
    }
    for name, version in versions.items():
        version.save(data / "validation" / "cat" / name)
    image.save(data / "validation/cat/poor.jpg", quality=40)
    inspection = inspect(data)
    (group,) = inspection.groups
    assert len(group.members) == 6 and not group.exact
    assert "nearly identical, in more than one part" in inspection.findings[0].text
    assert not inspect(data, near_bits=-1).groups
    assert main([str(data), "--exact-only"]) == 0 and main([str(data)]) == 1


def test_one_picture_in_two_classes_needs_the_user_and_twice_in_one_does_not(data):
    shutil.copy(data / "train/dog/dog.1.jpg", data / "train/dog/again.jpg")
    duplicates = found(data)
    assert set(duplicates) == {"duplicates"} and not duplicates["duplicates"].act
    assert main([str(data)]) == 0
    shutil.copy(data / "train/dog/dog.1.jpg", data / "train/cat/wrong.jpg")
    assert found(data)["two classes"].act
    assert len(inspect(data).groups) == 1


def test_flat_pictures_are_not_all_the_same(data):
    for i, grey in enumerate((0, 80, 160, 255)):
        Image.new("RGB", (40, 40), (grey,) * 3).save(data / "train" / "cat" / f"flat{i}.png")
    assert not inspect(data).groups


def test_pictures_that_differ_in_colour_alone_are_no_duplicates(data):
    with Image.open(data / "train/cat/cat.1.jpg") as opened:
        grey = np.asarray(opened.convert("L"), np.float32) / 3 + 60
    luma = {"red": (0.299, 0), "green": (0.587, 1)}
    for name, (weight, channel) in luma.items():
        # The same grey, made lighter by the same amount in one channel alone.
        pixels = np.repeat(grey[..., None], 3, axis=2)
        pixels[8:20, 8:20, channel] += 25 / weight
        path = data / "train" / "dog" / f"{name}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    assert not inspect(data).groups
    with Image.open(data / "train/dog/red.png") as opened:
        opened.convert("L").save(data / "validation/dog/grey.png")
        ImageEnhance.Color(opened).enhance(1.1).save(data / "validation/dog/stronger.jpg")
    found_names = [
        {Path(inspect(data).pictures[n].path).name for n in group.members}
        for group in inspect(data).groups
    ]
    assert any({"red.png", "stronger.jpg"} <= names for names in found_names)


def test_classes_that_are_empty_alone_or_unequal(data, tmp_path):
    (data / "train" / "bird").mkdir()
    codes = found(data)
    assert codes["empty"].act and "no images of bird" in codes["empty"].text
    assert "validation has the classes cat, dog, train has bird, cat, dog" in (
        codes["classes differ"].text
    )
    single = write_folder(tmp_path / "one", {"all": 3})
    assert found(single)["one class"].act
    many = write_folder(tmp_path / "many", {"a": 9, "b": 3})
    assert found(many)["imbalance"].act
    write_image(many / "b" / "more.jpg", 77)
    assert not found(many)


def test_bad_files_are_named_and_the_rest_is_read(data, capsys):
    whole = write_image(data / "train" / "dog" / "whole.jpg", 60, (200, 200)).read_bytes()
    (data / "train" / "dog" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (data / "train" / "dog" / "text.png").write_text("hello")
    (data / "train" / "dog" / "loop.jpg").symlink_to(data / "train" / "dog" / "loop.jpg")
    assert main([str(data)]) == 1
    output = capsys.readouterr().out
    assert "Needs you:" in output and "3 unreadable files" in output
    for name in ("half.jpg", "text.png", "loop.jpg"):
        assert name in output
    assert "1  dog  5" in output


def test_what_names_no_data_set_is_a_mistake(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "has no sub-folders" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path), "--near", "-3"])
    assert exit_.value.code == 2


def test_links_that_go_round_are_no_classes(data, capsys):
    (data / "train" / "itself").symlink_to(data / "train" / "itself")
    (data / "train" / "whole").symlink_to(data / "train", target_is_directory=True)
    assert main([str(data)]) == 0
    assert "9 images of 2 classes" in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_names_that_the_terminal_cannot_write(data, tmp_path, monkeypatch, encoding):
    (data / "train" / "새").mkdir()
    old = os.fsdecode("개.jpg".encode("euc-kr"))
    try:
        (data / "train" / "dog" / old).write_bytes(b"")
    except OSError:
        pytest.skip("a file system of Unicode names alone")

    def output(*arguments):
        path = tmp_path / "output"
        with open(path, "w", encoding=encoding) as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert main([str(data), *arguments]) == 1
        return path.read_text(encoding)

    assert "\\udcb0\\udcb3.jpg" in output()
    assert ("새" in output()) == (encoding == "utf-8")
    train = json.loads(output("--json"))["parts"][0]
    assert train["unreadable"][0]["path"].endswith(old)
    assert train["classes"][2]["name"] == "새"


def test_warnings_look_as_before_after_a_command(data):
    before = warnings.formatwarning
    main([str(data)])
    assert warnings.formatwarning is before


def test_groups_join_what_is_connected():
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (SIDE, SIDE)) for _ in range(4)]
    prints = [fingerprint(picture) for picture in (*pictures, pictures[0] + 2)]
    digests = [b"a", b"b", b"a", b"d", b"e"]
    groups = find_duplicates(digests, prints)
    assert [(group.members, group.exact) for group in groups] == [((0, 2, 4), False)]
    groups = find_duplicates(digests, prints, near_bits=-1)
    assert [(group.members, group.exact) for group in groups] == [((0, 2), True)]
    assert find_duplicates([], []) == []


def test_control_characters_of_names_are_escaped(data, capsys):
    """A terminal would obey them."""
    (data / "train" / "cat" / "\x1b[31mbad\n.jpg").write_bytes(b"")
    for part in ("train", "validation"):
        (data / part / "dog").rename(data / part / "d\x1b[2Jog")
    assert main([str(data)]) == 1
    output = capsys.readouterr().out
    assert "\x1b" not in output and "bad\n" not in output
    assert "\\x1b[31mbad\\n.jpg" in output and "1  d\\x1b[2Jog  4" in output
