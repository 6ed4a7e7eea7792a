/* Resampling of one image of uint8 or float, and what is done to its values. */
#ifndef FASTCONV_AUGMENT_H
#define FASTCONV_AUGMENT_H

#include "vector.h"

/* What lies outside the picture. */
enum { FC_NEAREST = 0, FC_REFLECT = 1, FC_WRAP = 2, FC_CONSTANT = 3 };

enum {
    FC_GROUP = 4, /* channels that are resampled together, one vector */
    FC_RUN = 64,  /* output pixels whose coordinates are worked out together */
    FC_SUMS = 16  /* partial results of a reduction, so that it runs in vectors */
};

typedef float fc_four __attribute__((vector_size(16)));
typedef float fc_eight __attribute__((vector_size(32)));
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

/* Copy up to four channels of a picture, as floats, into one of exactly four with a border of
 * one pixel: the two neighbours of a sample are then one load, and no sample checks bounds.
 * `line` is scratch of width * channels + 4 floats.
 */
#define FC_PAD(name, pixel)                                                                    \
    FC_LEAF void name(const pixel *source, int height, int width, int channels, int first,    \
                      int fill, float cval, float *line, float *padded) {                     \
        const ptrdiff_t step = (ptrdiff_t)(width + 2) * FC_GROUP;                             \
        for (int row = 0; row < height; row++) {                                              \
            const pixel *values = source + (ptrdiff_t)row * width * channels;                 \
            for (int i = 0; i < width * channels; i++) line[i] = (float)values[i];            \
            fc_pad_row(line + first, width, channels, fill, cval, padded + (row + 1) * step); \
        }                                                                                     \
        fc_pad_ends(height, width, fill, cval, padded);                                       \
    }

FC_INLINE void fc_pad_row(const float *line, int width, int channels, int fill, float cval,
                          float *to) {
    float *inside = to + FC_GROUP;
    const float blank[FC_GROUP] = {cval, cval, cval, cval};
    const float *left = blank, *right = blank;
    /* Four floats whatever the channels: those too many are never used. */
    for (int x = 0; x < width; x++) memcpy(inside + x * FC_GROUP, line + x * channels, 16);
    if (fill != FC_CONSTANT) {
        left = fill == FC_WRAP ? inside + (width - 1) * FC_GROUP : inside;
        right = fill == FC_WRAP ? inside : inside + (width - 1) * FC_GROUP;
    }
    memcpy(to, left, 16);
    memcpy(inside + width * FC_GROUP, right, 16);
}

FC_INLINE void fc_pad_ends(int height, int width, int fill, float cval, float *padded) {
    const ptrdiff_t step = (ptrdiff_t)(width + 2) * FC_GROUP;
    float *top = padded, *bottom = padded + (height + 1) * step;
    if (fill == FC_CONSTANT)
        for (ptrdiff_t i = 0; i < step; i++) top[i] = bottom[i] = cval;
    else {
        memcpy(top, fill == FC_WRAP ? bottom - step : top + step, step * sizeof(float));
        memcpy(bottom, fill == FC_WRAP ? top + step : bottom - step, step * sizeof(float));
    }
}

FC_PAD(fc_pad_u8, uint8_t)
FC_PAD(fc_pad_f32, float)

/* Up to four channels of every output pixel, interpolated linearly, through `matrix` (six
 * numbers: output x, y, 1 to source x, then to source y); then clip(v * gain, low, high),
 * times `scale` and plus `offset` of its channel.
 */
FC_INLINE void fc_resample_some(const float *padded, int height, int width, const double *matrix,
                                int fill, int channels, const int count, float gain, float low,
                                float high, const float *scale, const float *offset,
                                float *out) {
    const ptrdiff_t step = (ptrdiff_t)(width + 2) * FC_GROUP;
    fc_four a = {0}, b = {0};
    const fc_four floor = {low, low, low, low}, roof = {high, high, high, high};
    memcpy(&a, scale, count * sizeof(float));
    memcpy(&b, offset, count * sizeof(float));
    for (int y = 0; y < height; y++)
        for (int start = 0; start < width; start += FC_RUN) {
            const int run = width - start < FC_RUN ? width - start : FC_RUN;
            int column[FC_RUN], row[FC_RUN];
            float right_part[FC_RUN], lower_part[FC_RUN];
            fc_locate(matrix[0] * start + matrix[1] * y + matrix[2], matrix[0], run, width, fill,
                      column, right_part);
            fc_locate(matrix[3] * start + matrix[4] * y + matrix[5], matrix[3], run, height, fill,
                      row, lower_part);
            float *to = out + ((ptrdiff_t)y * width + start) * channels;
            for (int i = 0; i < run; i++, to += channels) {
                const float *at = padded + row[i] * step + column[i] * FC_GROUP;
                fc_eight upper, lower;
                memcpy(&upper, at, sizeof upper);
                memcpy(&lower, at + step, sizeof lower);
                const union {
                    fc_eight both;
                    fc_four half[2];
                } pair = {upper + (lower - upper) * lower_part[i]};
                fc_four value = pair.half[0] + (pair.half[1] - pair.half[0]) * right_part[i];
                value = value * gain;
                value = fc_choose(value < floor, floor, value);
                value = fc_choose(value > roof, roof, value) * a + b;
                memcpy(to, &value, count * sizeof(float));
            }
        }
}

FC_LEAF void fc_resample(const float *padded, int height, int width, const double *matrix,
                         int fill, int channels, int count, float gain, float low, float high,
                         const float *scale, const float *offset, float *out) {
#define FC_RESAMPLE(count)                                                                      \
    fc_resample_some(padded, height, width, matrix, fill, channels, count, gain, low, high,    \
                     scale, offset, out)
    switch (count) {
        case 1: FC_RESAMPLE(1); break;
        case 2: FC_RESAMPLE(2); break;
        case 3: FC_RESAMPLE(3); break;
        default: FC_RESAMPLE(4);
    }
#undef FC_RESAMPLE
}

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
