"""Rows of an input gradient: cleared before they are added to, cropped from their padded copy."""

from libc.string cimport memcpy, memset

from _fastconv._tiles cimport real
from _fastconv.structs cimport PaddedImage


cdef inline void crop_row(const PaddedImage* s, const real* padded, real* row) noexcept nogil:
    cdef int used = max(0, min(s.width, s.padded_width - s.left))
    memcpy(row, padded + s.left * s.channels, <size_t> used * s.channels * sizeof(real))
    memset(row + used * s.channels, 0, <size_t> (s.width - used) * s.channels * sizeof(real))


cdef inline void clear_rows(const PaddedImage* s, real* target, int first, int last) noexcept nogil:
    memset(target + first * s.row_step, 0, <size_t> (last - first) * s.row_step * sizeof(real))
