"""Images to finished batches: resampled, shifted, brightened and normalized.

Loops: images (parallel) - rows - runs of pixels (source coordinates, vectors along
the row) - pixels (vectors along the channels).  A picture is first copied into scratch, with
four channels and a border, so that no sample checks bounds: as bytes, which fit the nearest
cache, or else as floats.
An image is one thread's, so results do not depend on the number of threads.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t

from _fastconv._work cimport Work, join_team, next_task, share_work

join_team()

cdef extern from "simd/augment.h" nogil:
    enum:
        FC_NEAREST
        FC_REFLECT
        FC_WRAP
        FC_CONSTANT
        FC_GROUP
        FC_PAD_AS_BYTES
    void fc_pad_bytes(const uint8_t*, int, int, int, int, int, float, uint8_t*,
                      uint8_t*) noexcept
    void fc_pad_u8(const uint8_t*, int, int, int, int, int, float, float*, float*) noexcept
    void fc_pad_f32(const float*, int, int, int, int, int, float, float*, float*) noexcept
    void fc_resample_bytes(const uint8_t*, int, int, const double*, int, int, int, float, float,
                           float, const float*, const float*, float*) noexcept
    void fc_resample(const float*, int, int, const double*, int, int, int, float, float, float,
                     const float*, const float*, float*) noexcept
    void fc_convert_u8(const uint8_t*, ptrdiff_t, int, float, float, float, const float*,
                       const float*, float*) noexcept
    void fc_convert_f32(const float*, ptrdiff_t, int, float, float, float, const float*,
                        const float*, float*) noexcept
    void fc_finish(float*, ptrdiff_t, int, float, float, float, float, float, float, float,
                   const float*, const float*) noexcept
    void fc_extremes(const float*, ptrdiff_t, float*, float*) noexcept
    double fc_sum(const float*, ptrdiff_t, double, int) noexcept

FILL_MODES = {"nearest": FC_NEAREST, "reflect": FC_REFLECT, "wrap": FC_WRAP,
              "constant": FC_CONSTANT}


def scratch_size(int height, int width, int channels, /):
    """Return how many floats a thread needs: one row of a picture, and a padded group of it."""
    cdef ptrdiff_t row = (<ptrdiff_t> width * channels + 2 * FC_GROUP - 1) // FC_GROUP * FC_GROUP
    return row + <ptrdiff_t> (height + 2) * (width + 2) * FC_GROUP


ctypedef fused pixel:
    uint8_t
    float

cdef struct Images:
    int height
    int width
    int channels
    int fill
    float cval
    bint bounded          # no value can leave 0-255
    bint bytes            # nor is the border's any but a byte
    bint center           # subtract each image's mean ...
    bint scale            # ... and divide by its standard deviation
    float epsilon
    const float* factor   # by channel, with the next: value * factor + offset
    const float* offset
    const float* ones     # by channel: what leaves a value as it is
    const float* zeros


cdef bint is_identity(const double* m) noexcept nogil:
    return (m[0] == 1 and m[1] == 0 and m[2] == 0 and m[3] == 0 and m[4] == 1 and m[5] == 0)


cdef void resample(const pixel* source, const Images* s, const double* matrix, float gain,
                   float low, float high, const float* factor, const float* offset,
                   float* scratch, float* out) noexcept nogil:
    cdef ptrdiff_t pixels = <ptrdiff_t> s.height * s.width
    cdef float* padded = scratch
    cdef float* line = scratch + <ptrdiff_t> (s.height + 2) * (s.width + 2) * FC_GROUP
    cdef int group, first
    if is_identity(matrix):
        if pixel is uint8_t:
            fc_convert_u8(source, pixels, s.channels, gain, low, high, factor, offset, out)
        else:
            fc_convert_f32(source, pixels, s.channels, gain, low, high, factor, offset, out)
        return
    for group in range((s.channels + FC_GROUP - 1) // FC_GROUP):
        first = group * FC_GROUP
        if pixel is uint8_t and FC_PAD_AS_BYTES and s.bytes:
            fc_pad_bytes(<const uint8_t*> source, s.height, s.width, s.channels, first, s.fill,
                         s.cval, <uint8_t*> line, <uint8_t*> padded)
            fc_resample_bytes(<const uint8_t*> padded, s.height, s.width, matrix, s.fill,
                              s.channels, s.channels - first, gain, low, high, factor + first,
                              offset + first, out + first)
            continue
        if pixel is uint8_t:
            fc_pad_u8(source, s.height, s.width, s.channels, first, s.fill, s.cval, line, padded)
        else:
            fc_pad_f32(source, s.height, s.width, s.channels, first, s.fill, s.cval, line, padded)
        fc_resample(padded, s.height, s.width, matrix, s.fill, s.channels, s.channels - first,
                    gain, low, high, factor + first, offset + first, out + first)


cdef void finish(float* out, const Images* s, float shift, float gain) noexcept nogil:
    # The limits of shift and brightness are those of the resampled image, so it comes first.
    cdef ptrdiff_t pixels = <ptrdiff_t> s.height * s.width
    cdef float least, most, low, high
    fc_extremes(out, pixels * s.channels, &least, &most)
    low, high = min(max(least + shift, least), most), min(max(most + shift, least), most)
    if low >= 0 and high <= 255:
        low, high = 0, 255
    if gain == 1:
        low, high = -INFINITY, INFINITY
    fc_finish(out, pixels, s.channels, shift, least, most, 0 if gain == 1 else low, gain, low,
              high, s.factor, s.offset)


cdef void standardize(float* out, const Images* s) noexcept nogil:
    # With the mean taken off first, the squares are summed without losing digits.
    cdef ptrdiff_t count = <ptrdiff_t> s.height * s.width * s.channels, i
    cdef double mean = fc_sum(out, count, 0, 0) / count
    cdef float center = <float> mean, divisor = 1
    if s.scale:
        divisor = <float> sqrt(fc_sum(out, count, mean, 1) / count) + s.epsilon
    for i in range(count):
        out[i] = (out[i] - center) / divisor


cdef void one_image(const pixel* source, const Images* s, const double* matrix, float shift,
                    float gain, float* scratch, float* out) noexcept nogil:
    if shift == 0 and s.bounded:
        resample(source, s, matrix, gain, 0, 255, s.factor, s.offset, scratch, out)
    elif shift == 0 and gain == 1:
        resample(source, s, matrix, 1, -INFINITY, INFINITY, s.factor, s.offset, scratch, out)
    else:
        resample(source, s, matrix, 1, -INFINITY, INFINITY, s.ones, s.zeros, scratch, out)
        finish(out, s, shift, gain)
    if s.center:
        standardize(out, s)


def transform(const pixel[:, :, :, ::1] source, const int64_t[::1] rows,
              const double[:, ::1] matrices, const float[::1] shifts, const float[::1] gains,
              int fill, float cval, const float[:, ::1] channel_values, bint center, bint scale,
              float epsilon, float[:, ::1] scratch, float[:, :, :, ::1] out, int num_threads, /):
    """Write images `rows` of `source` to `out`, each through its own matrix.

    source: IN (m, height, width, channels); rows: IN (n,); matrices: IN (n, 6), the
    first two rows of the map from output (x, y, 1) to source.  shifts, gains: IN (n,), 0
    and 1 change nothing.  channel_values: IN (4, channels): factor, offset, ones, zeros.
    scratch: (threads, scratch_size).  out: OUT (n, height, width, channels).
    """
    cdef ptrdiff_t i
    cdef Work work
    cdef Images s
    s.height, s.width, s.channels = source.shape[1], source.shape[2], source.shape[3]
    # No other mode has a constant, and any number can be no byte.
    s.fill, s.cval = fill, cval if fill == FC_CONSTANT else 0
    s.bounded = pixel is uint8_t and (fill != FC_CONSTANT or 0 <= cval <= 255)
    s.bytes = s.bounded and (fill != FC_CONSTANT or cval == <uint8_t> cval)
    s.center, s.scale, s.epsilon = center, scale, epsilon
    s.factor, s.offset = &channel_values[0, 0], &channel_values[1, 0]
    s.ones, s.zeros = &channel_values[2, 0], &channel_values[3, 0]
    share_work(&work, out.shape[0], num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (i := next_task(&work, threadid())) >= 0:
            one_image(&source[rows[i], 0, 0, 0], &s, &matrices[i, 0], shifts[i], gains[i],
                      &scratch[threadid(), 0], &out[i, 0, 0, 0])
