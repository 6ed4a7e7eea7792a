"""Fetching a file over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path

from .folders import naming_full_disks

CONNECT_SECONDS = 5.0
MAX_BYTES = 1 << 30
_BLOCK_BYTES = 1 << 16


def download(
    address: str,
    target: Path,
    timeout: float = CONNECT_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> None:
    """Write what is at `address` to the file `target`, with a progress bar on a terminal.

    Args:
        timeout: seconds to wait for the connection, and for each further block.

    Raises:
        OSError: it cannot be reached (at once, or within `timeout`), or ends too early.
        ValueError: it is larger than `max_bytes`.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    from tqdm import tqdm

    try:
        with (
            urlopen(address, timeout=timeout) as response,
            naming_full_disks(target),
            open(target, "wb") as file,
        ):
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
            bar = tqdm(
                total=total,
                unit="B",
                unit_scale=True,
                desc=address.rsplit("/", 1)[-1],
                file=sys.stderr,
                disable=None,
            )
            with bar:
                received = 0
                while block := response.read(_BLOCK_BYTES):
                    received += len(block)
                    if received > max_bytes:
                        raise ValueError(
                            f"{address} is larger than {max_bytes:,} bytes; it is not fetched"
                        )
                    file.write(block)
                    bar.update(len(block))
    except HTTPError as error:
        error.close()
        raise ConnectionError(f"{address}: {error.code} {error.reason}") from error
    except URLError as error:
        raise ConnectionError(f"{address}: {error.reason}") from error
    except TimeoutError as error:
        raise ConnectionError(f"{address}: nothing came for {timeout:g} seconds") from error
    except HTTPException as error:
        raise ConnectionError(f"{address}: {error!r}") from error
    if total is not None and received < total:
        raise ConnectionError(
            f"{address}: the connection ended after {received:,} of {total:,} bytes"
        )
