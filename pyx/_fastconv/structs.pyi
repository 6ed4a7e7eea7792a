from collections.abc import Mapping

from typing_extensions import Buffer

EMPTY: Mapping[str, Buffer]
