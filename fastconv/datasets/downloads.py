"""Fetching a file over HTTP."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from .folders import naming_full_disks

CONNECT_SECONDS = 5.0
MAX_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 16


def download(
    address: str, target: Path, timeout: float = CONNECT_SECONDS, max_bytes: int = MAX_BYTES
) -> None:
    """Write what is at `address` to the file `target`, with a progress bar on a terminal.

    Args:
        timeout: seconds to wait for the connection, and for each further block.

    Raises:
        OSError: it cannot be reached (at once, or within `timeout`), or ends too early.
        ValueError: it is larger than `max_bytes`.
    """
    from urllib.request import urlopen

    from tqdm import tqdm

    with _naming(address, timeout), urlopen(address, timeout=timeout) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        received = 0
        with (
            naming_full_disks(target),
            open(target, "wb") as file,
            tqdm(
                total=total,
                unit="B",
                unit_scale=True,
                desc=address.rsplit("/", 1)[-1],
                file=sys.stderr,
                disable=None,
            ) as bar,
        ):
            while block := response.read(_BLOCK_BYTES):
                received += len(block)
                if received > max_bytes:
                    raise ValueError(
                        f"{address} is larger than {max_bytes:,} bytes; it is not fetched"
                    )
                file.write(block)
                bar.update(len(block))
    if total is not None and received < total:
        raise ConnectionError(
            f"{address}: the connection ended after {received:,} of {total:,} bytes"
        )


@contextlib.contextmanager
def _naming(address: str, timeout: float) -> Iterator[None]:
    """Raise what goes wrong on the way to an address as a ConnectionError that names it."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    try:
        yield
    except HTTPError as error:
        error.close()
        raise ConnectionError(f"{address}: {error.code} {error.reason}") from error
    except URLError as error:
        raise ConnectionError(f"{address}: {error.reason}") from error
    except TimeoutError as error:
        raise ConnectionError(f"{address}: nothing came for {timeout:g} seconds") from error
    except HTTPException as error:
        raise ConnectionError(f"{address}: {error!r}") from error
