"""What an L1 cache holds of the lines that a row of `depthwise`'s outputs reads."""

from _fastconv._planes cimport taps_width
from _fastconv._tiles cimport NARROW_TILE_ROWS, lanes, real
from _fastconv.structs cimport DepthwiseLayout

cdef enum:
    TILE_BYTES = 20 * 1024    # of x, that rows of outputs share: most of a usual L1 cache


cdef struct Tile:
    int columns
    int channels


cdef inline Tile tile_of(const DepthwiseLayout* g, const real* kind) noexcept nogil:
    """Return as many channels as fit with a register tile's pixels, and then as many pixels."""
    cdef Tile tile
    cdef int line = TILE_BYTES // (<int> sizeof(real) * g.reach)
    cdef int pixels = (NARROW_TILE_ROWS - 1) * g.column_stride + taps_width(g)
    tile.channels = max(1, line // pixels // lanes(kind)) * lanes(kind)
    pixels = line // min(tile.channels, g.channels) - taps_width(g)
    tile.columns = max(NARROW_TILE_ROWS, pixels // g.column_stride)
    return tile
