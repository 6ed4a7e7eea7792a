/* Resampling of one image: augment_template.h compiled for pixels of uint8 and float. */
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
typedef int32_t fc_eight_ints __attribute__((vector_size(32)));
typedef uint8_t fc_eight_bytes __attribute__((vector_size(8)));

/* How the values of one image are changed:
 *     v = clip(v + shift, least, most)              if it is shifted
 *     v = clip((v - pivot) * gain + pivot, low, high)
 *     v = v * scale[channel] + offset[channel]
 */
typedef struct {
    float shift, least, most;
    float pivot, gain, low, high;
} fc_values;

FC_INLINE float fc_clip(float value, float low, float high) {
    value = value < low ? low : value;
    return value > high ? high : value;
}

FC_INLINE fc_four fc_choose(fc_four_masks mask, fc_four yes, fc_four no) {
    return (fc_four)((mask & (fc_four_masks)yes) | (~mask & (fc_four_masks)no));
}

/* The source columns (or rows) of a run of output pixels, start + i * step, moved inside the
 * picture: *first counts in the padded picture, whose border is one pixel wide, and *part is
 * the weight of the pixel after it.  Only constant and wrap ever read the border.
 */
FC_INLINE void fc_locate_filled(double start, double step, int count, int size, const int fill,
                                int *first, float *part) {
    const float base = (float)start, slope = (float)step, length = (float)size;
    const float low = fill == FC_CONSTANT ? -1.0f : 0.0f;
    const float high = fill == FC_CONSTANT || fill == FC_WRAP ? length : length - 1.0f;
    const float period = fill == FC_WRAP ? length : 2.0f * length;
    const float shift = fill == FC_REFLECT ? 0.5f : 0.0f, each = 1.0f / period;
    for (int i = 0; i < count; i++) {
        float at = base + slope * (float)i;
        if (fill == FC_REFLECT || fill == FC_WRAP) {
            at = fc_clip(at, -1e6f, 1e6f) + shift; /* in reach of an int */
            float turns = at * each;
            float whole = (float)(int)turns;
            at -= (whole - (float)(whole > turns)) * period;
            if (fill == FC_REFLECT) {
                float beyond = at - length;
                at = length - (beyond < 0.0f ? -beyond : beyond) - shift;
            }
        }
        at = fc_clip(at, low, high) + 1.0f;
        int whole = (int)at;
        whole = whole < size ? whole : size;
        first[i] = whole;
        part[i] = at - (float)whole;
    }
}

FC_LEAF void fc_locate(double start, double step, int count, int size, int fill, int *first,
                       float *part) {
    switch (fill) {
        case FC_NEAREST: fc_locate_filled(start, step, count, size, FC_NEAREST, first, part); break;
        case FC_REFLECT: fc_locate_filled(start, step, count, size, FC_REFLECT, first, part); break;
        case FC_WRAP: fc_locate_filled(start, step, count, size, FC_WRAP, first, part); break;
        default: fc_locate_filled(start, step, count, size, FC_CONSTANT, first, part);
    }
}

#define PIXEL uint8_t
#define NAME(x) x##_u8
#include "augment_template.h"
#undef PIXEL
#undef NAME

#define PIXEL float
#define NAME(x) x##_f32
#include "augment_template.h"
#undef PIXEL
#undef NAME

/* Finish the values of an image in place. */
FC_LEAF void fc_finish(float *values, ptrdiff_t pixels, int channels, const fc_values *v,
                       const float *scale, const float *offset) {
    for (ptrdiff_t i = 0; i < pixels * channels; i++) {
        float value = fc_clip(values[i] + v->shift, v->least, v->most);
        values[i] = fc_clip((value - v->pivot) * v->gain + v->pivot, v->low, v->high);
    }
    for (ptrdiff_t p = 0; p < pixels; p++)
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
