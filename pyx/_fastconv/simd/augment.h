/* Resampling of one image of uint8 or float, and what is done to its values. */
#ifndef FASTCONV_AUGMENT_H
#define FASTCONV_AUGMENT_H

#include "vector.h"

/* Whether eight bytes become eight floats at once; else they had better be floats before. */
#if defined(__AVX2__)
#include <immintrin.h>
enum { FC_PAD_AS_BYTES = 1 };
#else
enum { FC_PAD_AS_BYTES = 0 };
#endif

/* What lies outside the picture. */
enum { FC_NEAREST = 0, FC_REFLECT = 1, FC_WRAP = 2, FC_CONSTANT = 3 };

enum {
    FC_GROUP = 4, /* channels that are resampled together, one vector */
    FC_RUN = 64,  /* output pixels whose coordinates are worked out together */
    FC_SUMS = 16  /* partial results of a reduction, so that it runs in vectors */
};

typedef float fc_four __attribute__((vector_size(16)));
typedef uint8_t fc_bytes __attribute__((vector_size(16)));
typedef float fc_eight __attribute__((vector_size(32)));
typedef float fc_four_anywhere __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t fc_four_masks __attribute__((vector_size(16)));

FC_INLINE float fc_clip(float value, float low, float high) {
    value = value < low ? low : value;
    return value > high ? high : value;
}

FC_INLINE fc_four fc_choose(fc_four_masks mask, fc_four yes, fc_four no) {
    return (fc_four)((mask & (fc_four_masks)yes) | (~mask & (fc_four_masks)no));
}

/* Values modulo `period`, from 0 to it. */
FC_INLINE void fc_wrap(float *values, int count, float period) {
    const float each = 1.0f / period;
    for (int i = 0; i < count; i++) values[i] -= __builtin_floorf(values[i] * each) * period;
}

/* The source columns (or rows) of a run of output pixels, start + i * step, moved inside the
 * picture: *first counts in the padded picture, whose border is one pixel wide, and *part is
 * the weight of the pixel after it.  Only constant and wrap ever read the border.
 */
FC_LEAF void fc_locate(double start, double step, int count, int size, int fill, int *first,
                       float *part) {
    const float base = (float)start, slope = (float)step, length = (float)size;
    const float low = fill == FC_CONSTANT ? -1.0f : 0.0f;
    const float high = fill == FC_CONSTANT || fill == FC_WRAP ? length : length - 1.0f;
    for (int i = 0; i < count; i++) part[i] = base + slope * (float)i;
    if (fill == FC_WRAP) fc_wrap(part, count, length);
    if (fill == FC_REFLECT) {
        for (int i = 0; i < count; i++) part[i] += 0.5f;
        fc_wrap(part, count, 2.0f * length);
        for (int i = 0; i < count; i++)
            part[i] = length - __builtin_fabsf(part[i] - length) - 0.5f;
    }
    for (int i = 0; i < count; i++) {
        float at = part[i] > low ? part[i] : low; /* a NaN, too, ends inside */
        at = (at < high ? at : high) + 1.0f;
        int whole = (int)at;
        whole = whole < size ? whole : size;
        first[i] = whole;
        part[i] = at - (float)whole;
    }
}

/* Copy up to four channels of a picture into one of exactly four with a border of one pixel:
 * the two neighbours of a sample are then one load, and no sample checks bounds.  `cell` is
 * what the copy is made of: bytes, a quarter of the memory, wherever they hold all there is.
 * `line` is scratch of width * channels + 4 cells.
 */
#define FC_PAD(name, pixel, cell)                                                              \
    FC_LEAF void name(const pixel *source, int height, int width, int channels, int first,    \
                      int fill, float cval, cell *line, cell *padded) {                       \
        const ptrdiff_t step = (ptrdiff_t)(width + 2) * FC_GROUP;                             \
        const size_t pixel_size = FC_GROUP * sizeof(cell);                                    \
        cell blank[FC_GROUP];                                                                 \
        for (int c = 0; c < FC_GROUP; c++) blank[c] = (cell)cval;                             \
        for (int row = 0; row < height; row++) {                                              \
            const pixel *values = source + (ptrdiff_t)row * width * channels;                 \
            cell *inside = padded + (row + 1) * step + FC_GROUP;                              \
            cell *last = inside + (width - 1) * FC_GROUP;                                     \
            for (int i = 0; i < width * channels; i++) line[i] = (cell)values[i];             \
            /* Four cells whatever the channels: those too many are never used. */            \
            int x = sizeof(cell) == 1 && channels == 3 ? fc_spread(line, width, inside) : 0;  \
            for (; x < width; x++)                                                            \
                memcpy(inside + x * FC_GROUP, line + first + x * channels, pixel_size);       \
            memcpy(inside - FC_GROUP, fc_beside(fill, blank, last, inside), pixel_size);      \
            memcpy(last + FC_GROUP, fc_beside(fill, blank, inside, last), pixel_size);        \
        }                                                                                     \
        cell *top = padded, *bottom = padded + (height + 1) * step;                           \
        if (fill == FC_CONSTANT)                                                              \
            for (ptrdiff_t i = 0; i < step; i++) top[i] = bottom[i] = blank[0];               \
        else {                                                                                \
            const size_t row_size = step * sizeof(cell);                                      \
            memcpy(top, fc_beside(fill, blank, bottom - step, top + step), row_size);         \
            memcpy(bottom, fc_beside(fill, blank, top + step, bottom - step), row_size);      \
        }                                                                                     \
    }

/* Most of `count` pixels of three bytes as pixels of four; return how many. */
FC_INLINE int fc_spread(const void *from, int count, void *to) {
    const fc_bytes order = {0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11};
    int x = 0;
    for (; x + 6 <= count; x += 4) { /* 16 bytes are read, five pixels and a third */
        fc_bytes four;
        memcpy(&four, (const char *)from + 3 * x, sizeof four);
        four = __builtin_shuffle(four, order);
        memcpy((char *)to + 4 * x, &four, sizeof four);
    }
    return x;
}

/* What lies beside the edge of a picture: a constant, the other edge, or the edge itself. */
FC_INLINE const void *fc_beside(int fill, const void *constant, const void *other,
                                const void *edge) {
    return fill == FC_CONSTANT ? constant : fill == FC_WRAP ? other : edge;
}

FC_PAD(fc_pad_bytes, uint8_t, uint8_t)
FC_PAD(fc_pad_u8, uint8_t, float)
FC_PAD(fc_pad_f32, float, float)

/* Two neighbouring pixels of four channels, as floats. */
FC_INLINE void fc_pair_f32(const float *at, fc_eight *pair) { memcpy(pair, at, sizeof *pair); }

FC_INLINE void fc_pair_bytes(const uint8_t *at, fc_eight *pair) {
#if defined(__AVX2__)
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)at);
    *pair = (fc_eight)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
#else
    for (int i = 0; i < 8; i++) (*pair)[i] = (float)at[i];
#endif
}

/* Up to four channels of every output pixel, interpolated linearly, through `matrix` (six
 * numbers: output x, y, 1 to source x, then to source y); then clip(v * gain, low, high),
 * times `scale` and plus `offset` of its channel.  A gain of 1 clips nothing: what is linear
 * between samples is not beyond them.
 */
#define FC_RESAMPLE(name, cell, load, always_clips)                                            \
    FC_INLINE void name##_some(const cell *padded, int height, int width,                     \
                               const double *matrix, int fill, int channels, const int count, \
                               const int clips, float gain, float low, float high,            \
                               const float *scale, const float *offset, float *out) {         \
        const ptrdiff_t step = (ptrdiff_t)(width + 2) * FC_GROUP;                             \
        fc_four a = {0}, b = {0};                                                             \
        const fc_four floor = {low, low, low, low}, roof = {high, high, high, high};          \
        memcpy(&a, scale, count * sizeof(float));                                             \
        memcpy(&b, offset, count * sizeof(float));                                            \
        for (int y = 0; y < height; y++)                                                      \
            for (int start = 0; start < width; start += FC_RUN) {                             \
                const int run = width - start < FC_RUN ? width - start : FC_RUN;              \
                int column[FC_RUN], row[FC_RUN];                                              \
                float right_part[FC_RUN], lower_part[FC_RUN];                                 \
                fc_locate(matrix[0] * start + matrix[1] * y + matrix[2], matrix[0], run,      \
                          width, fill, column, right_part);                                   \
                fc_locate(matrix[3] * start + matrix[4] * y + matrix[5], matrix[3], run,      \
                          height, fill, row, lower_part);                                     \
                /* Three channels go out as four floats, all but the last pixel of a run: the \
                 * next pixel overwrites the fourth. */                                       \
                const int beyond = count == 3 && channels == 3 ? run - 1 : 0;                 \
                for (int i = 0; i < run; i++) column[i] += row[i] * (width + 2);              \
                float *to = out + ((ptrdiff_t)y * width + start) * channels;                  \
                for (int i = 0; i < run; i++, to += channels) {                               \
                    const cell *at = padded + (ptrdiff_t)column[i] * FC_GROUP;                \
                    fc_eight upper, lower;                                                    \
                    load(at, &upper);                                                         \
                    load(at + step, &lower);                                                  \
                    const union {                                                             \
                        fc_eight both;                                                        \
                        fc_four half[2];                                                      \
                    } pair = {upper + (lower - upper) * lower_part[i]};                       \
                    fc_four value =                                                           \
                        pair.half[0] + (pair.half[1] - pair.half[0]) * right_part[i];         \
                    if (clips) {                                                              \
                        value = value * gain;                                                 \
                        value = fc_choose(value < floor, floor, value);                       \
                        value = fc_choose(value > roof, roof, value);                         \
                    }                                                                         \
                    value = value * a + b;                                                    \
                    if (i < beyond)                                                           \
                        *(fc_four_anywhere *)to = value;                                      \
                    else                                                                      \
                        for (int c = 0; c < count; c++) to[c] = value[c];                     \
                }                                                                             \
            }                                                                                 \
    }                                                                                         \
    FC_LEAF void name(const cell *padded, int height, int width, const double *matrix,        \
                      int fill, int channels, int count, float gain, float low, float high,   \
                      const float *scale, const float *offset, float *out) {                  \
        if (gain != 1 || always_clips) {                                                      \
            FC_BY_COUNT(name, 1)                                                              \
        } else {                                                                              \
            FC_BY_COUNT(name, 0)                                                              \
        }                                                                                     \
    }

#define FC_CALL(name, count, clips)                                                            \
    name##_some(padded, height, width, matrix, fill, channels, count, clips, gain, low, high, \
                scale, offset, out)
#define FC_BY_COUNT(name, clips)                                                               \
    switch (count) {                                                                          \
        case 1: FC_CALL(name, 1, clips); break;                                               \
        case 2: FC_CALL(name, 2, clips); break;                                               \
        case 3: FC_CALL(name, 3, clips); break;                                               \
        default: FC_CALL(name, 4, clips);                                                     \
    }

FC_RESAMPLE(fc_resample_bytes, uint8_t, fc_pair_bytes, 0)
FC_RESAMPLE(fc_resample, float, fc_pair_f32, 1) /* less code: it is not the usual way */

/* Whether all channels have the same scale and offset. */
FC_INLINE int fc_uniform(const float *scale, const float *offset, int channels) {
    int uniform = 1;
    for (int c = 1; c < channels; c++)
        uniform &= scale[c] == scale[0] && offset[c] == offset[0];
    return uniform;
}

/* The picture as it is, as floats. */
#define FC_CONVERT(name, pixel)                                                                \
    FC_LEAF void name(const pixel *source, ptrdiff_t pixels, int channels, float gain,        \
                      float low, float high, const float *scale, const float *offset,         \
                      float *out) {                                                           \
        const ptrdiff_t count = pixels * channels;                                            \
        if (fc_uniform(scale, offset, channels)) {                                            \
            const float a = scale[0], b = offset[0];                                          \
            for (ptrdiff_t i = 0; i < count; i++)                                             \
                out[i] = fc_clip((float)source[i] * gain, low, high) * a + b;                 \
            return;                                                                           \
        }                                                                                     \
        for (ptrdiff_t p = 0; p < count; p += channels)                                       \
            for (int c = 0; c < channels; c++)                                                \
                out[p + c] =                                                                  \
                    fc_clip((float)source[p + c] * gain, low, high) * scale[c] + offset[c];   \
    }

FC_CONVERT(fc_convert_u8, uint8_t)
FC_CONVERT(fc_convert_f32, float)

/* Finish the values of an image in place: shifted, within `least` to `most`; brightened about
 * `pivot`, within `low` to `high`; times `scale` and plus `offset` of their channel.
 */
FC_LEAF void fc_finish(float *values, ptrdiff_t pixels, int channels, float shift, float least,
                       float most, float pivot, float gain, float low, float high,
                       const float *scale, const float *offset) {
    const int uniform = fc_uniform(scale, offset, channels);
    const float a = uniform ? scale[0] : 1.0f, b = uniform ? offset[0] : 0.0f;
    for (ptrdiff_t i = 0; i < pixels * channels; i++) {
        float value = fc_clip(values[i] + shift, least, most);
        values[i] = fc_clip((value - pivot) * gain + pivot, low, high) * a + b;
    }
    for (ptrdiff_t p = 0; p < pixels && !uniform; p++)
        for (int c = 0; c < channels; c++)
            values[p * channels + c] = values[p * channels + c] * scale[c] + offset[c];
}

/* The smallest and the largest of `count` values. */
FC_LEAF void fc_extremes(const float *values, ptrdiff_t count, float *least, float *most) {
    float low[FC_SUMS], high[FC_SUMS];
    for (int j = 0; j < FC_SUMS; j++) low[j] = high[j] = values[0];
    ptrdiff_t i = 0;
    for (; i + FC_SUMS <= count; i += FC_SUMS)
        for (int j = 0; j < FC_SUMS; j++) {
            float value = values[i + j];
            low[j] = value < low[j] ? value : low[j];
            high[j] = value > high[j] ? value : high[j];
        }
    for (; i < count; i++) {
        low[0] = values[i] < low[0] ? values[i] : low[0];
        high[0] = values[i] > high[0] ? values[i] : high[0];
    }
    for (int j = 1; j < FC_SUMS; j++) {
        low[0] = low[j] < low[0] ? low[j] : low[0];
        high[0] = high[j] > high[0] ? high[j] : high[0];
    }
    *least = low[0];
    *most = high[0];
}

/* The sum of values - center, or of its square, in double and in a fixed order. */
FC_LEAF double fc_sum(const float *values, ptrdiff_t count, double center, int squared) {
    double sums[FC_SUMS] = {0};
    ptrdiff_t i = 0;
    for (; i + FC_SUMS <= count; i += FC_SUMS)
        for (int j = 0; j < FC_SUMS; j++) {
            double value = (double)values[i + j] - center;
            sums[j] += squared ? value * value : value;
        }
    for (; i < count; i++) {
        double value = (double)values[i] - center;
        sums[0] += squared ? value * value : value;
    }
    for (int j = 1; j < FC_SUMS; j++) sums[0] += sums[j];
    return sums[0];
}

#endif
