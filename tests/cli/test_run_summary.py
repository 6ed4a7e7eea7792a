"""What files that may be anybody's say of the run that wrote them."""

from __future__ import annotations

import warnings
import zipfile

import numpy as np
import pytest

from fastconv.cli.run_summary import summary_of


def _member(header: bytes, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "member",
    [
        _member(b"{'descr': '<U10', 'fortran_order': False, 'shape': ("),
        _member(b"(" * 9000),
        _member(b"{'descr': '<U1', 'fortran_order': False, 'shape': (), }\n", b"\xff" * 4),
        _member(b"{'descr': '<U0', 'fortran_order': False, 'shape': (), }\n"),
        _member(b"{'descr': '<i8', 'fortran_order': False, 'shape': (1L,), }\n", b"\0" * 8),
    ],
    ids=["open bracket", "brackets", "no letter", "empty", "Python 2"],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_foreign_archive_has_no_summary_and_no_word_is_said(tmp_path, member, method):
    path = tmp_path / "foreign.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("format.npy", member)
        archive.writestr("config.npy", member)
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for at in (None, 35, 50):
            damaged = bytearray(whole)
            if at is not None:
                damaged[at] ^= 0xFF
            path.write_bytes(damaged)
            assert summary_of(path) is None


def test_a_summary_of_texts_that_are_no_objects_is_none(tmp_path):
    path = tmp_path / "odd.npz"
    for config in ("[]", "1", "null", '{"metadata": [1]}', "[" * 100_000):
        np.savez(path, format=np.array("fastconv/1"), config=np.array(config))
        assert summary_of(path) is None
