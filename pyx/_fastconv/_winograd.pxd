"""What Winograd's output and kernel gradient share: the tiles of an image, the points."""

from libc.stddef cimport ptrdiff_t

cdef extern from "simd/winograd_axis.h" nogil:
    void fc_input_tile(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t) noexcept

cdef enum:
    POINTS = 36
    SKEW = 16             # floats between points: a power of two would put all 36 in one cache set

cdef struct Tiles:
    int rows              # of tiles in one image
    int columns
    int out_rows          # of the output, pooled if it is
    int out_columns
    int channels
    int filters
    int pooled
    int relu
    int band              # tiles side by side whose lines are made at a time


cdef inline Tiles tiles_of(const int[::1] fields):
    cdef inline Tiles t
    t.rows, t.columns, t.out_rows, t.out_columns = fields[0], fields[1], fields[2], fields[3]
    t.channels, t.filters, t.pooled, t.relu = fields[4], fields[5], fields[6], fields[7]
    t.band = fields[8]
    return t
