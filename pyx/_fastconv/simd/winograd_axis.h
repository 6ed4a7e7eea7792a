/* Winograd's minimal filtering with six points an axis: the transforms along one axis, and of an
 * input tile.
 *
 * A tile of m x m outputs of a t x t kernel, m + t = 7, needs 36 multiplications a channel pair:
 *     Y = A' [ (G g G') . (B' d B) ] A
 * with d the 6x6 input tile, g the kernel, "." elementwise (a matrix product once summed over
 * channels).  F(4x4, 3x3) spares 108 of 144, F(2x2, 5x5) 64 of 100.  The interpolation points
 * are 0, +-a, +-b and infinity with a = 3/4, b = 3/2: the products a*b etc. are exact in binary,
 * and rounding errors are a third of those of the usual 0, +-1, +-2.  B' knows the points alone,
 * not m: A and G hold as many of their powers as there are outputs and taps.
 *
 * The rows for +p and -p are even(p) + odd(p) and even(p) - odd(p), which halves the work.
 * A tile of four outputs along an axis, of which at most two exist, is *short* there: F(2, 3) at the
 * points 0, +-a and infinity, of the same transformed kernel, whose points 3 and 4 (+-b) it lacks.
 * What is missing from b^2 - p^2 in the kernel's factors is part of its B'.
 *
 * The gradients use the same matrices transposed: Z = A dy A', dg = G' (V' Z) G.
 *
 * Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
 */
#ifndef FASTCONV_WINOGRAD_AXIS_H
#define FASTCONV_WINOGRAD_AXIS_H

#include "tile.h"

#define VEC fc_v_f32

static const float fc_a = 0.75f, fc_b = 1.5f;
static const float fc_a2 = 0.5625f, fc_b2 = 2.25f;
static const float fc_a3 = 0.421875f, fc_b3 = 3.375f;
static const float fc_a4 = 0.31640625f, fc_b4 = 5.0625f;
static const float fc_sum = 2.8125f;      /* a^2 + b^2 */
static const float fc_product = 1.265625f; /* a^2 b^2 */

/* B' along one axis: six values to six; of vectors, and of four values. */
#define FC_INPUT_AXIS(AXIS, TYPE)                                    \
    FC_INLINE void AXIS(const TYPE *d, const int step, TYPE *out) {  \
        TYPE d0 = d[0], d1 = d[step], d2 = d[2 * step];              \
        TYPE d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];   \
        TYPE even_a = d4 - fc_b2 * d2, odd_a = fc_a * (d3 - fc_b2 * d1); \
        TYPE even_b = d4 - fc_a2 * d2, odd_b = fc_b * (d3 - fc_a2 * d1); \
        out[0] = fc_product * d0 - fc_sum * d2 + d4;                 \
        out[1] = even_a + odd_a;                                     \
        out[2] = even_a - odd_a;                                     \
        out[3] = even_b + odd_b;                                     \
        out[4] = even_b - odd_b;                                     \
        out[5] = fc_product * d1 - fc_sum * d3 + d5;                 \
    }
FC_INPUT_AXIS(fc_input_axis, VEC)
FC_INPUT_AXIS(fc_input_axis_four, fc_four_f32)
#undef FC_INPUT_AXIS

/* The same of a short axis: four values to the points 0, 1, 2 and 5. */
#define FC_SHORT_INPUT_AXIS(AXIS, TYPE)                                            \
    FC_INLINE void AXIS(const TYPE *d, const int step, TYPE *out) {                \
        TYPE d1 = d[step], d2 = d[2 * step];                                       \
        TYPE even = (fc_a2 - fc_b2) * d2, odd = (fc_a * (fc_a2 - fc_b2)) * d1;     \
        out[0] = fc_product * d[0] - fc_b2 * d2;                                   \
        out[1] = even + odd;                                                       \
        out[2] = even - odd;                                                       \
        out[5] = d[3 * step] - fc_a2 * d1;                                         \
    }
FC_SHORT_INPUT_AXIS(fc_short_input_axis, VEC)
FC_SHORT_INPUT_AXIS(fc_short_input_axis_four, fc_four_f32)
#undef FC_SHORT_INPUT_AXIS

/* Whether a short axis lacks a point. */
FC_INLINE int fc_lacking(int is_short, int point) { return is_short && (point == 3 || point == 4); }

/* A' along one axis: six values to `side`, two to five. */
FC_INLINE void fc_output_axis(const VEC *m, const int step, const int side, VEC *out) {
    VEC m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    VEC sum_a = m1 + m2, sum_b = m3 + m4;
    VEC difference_a = m1 - m2, difference_b = m3 - m4;
    VEC last = m[5 * step];
    /* Infinity's value goes to the last of them, first: it rides in a multiply-add. */
#define FC_TERM(number, value) (side == (number) ? (value) + last : (value))
    out[0] = m[0] + (sum_a + sum_b);
    out[1] = fc_a * difference_a + FC_TERM(2, fc_b * difference_b);
    if (side > 2) out[2] = fc_a2 * sum_a + FC_TERM(3, fc_b2 * sum_b);
    if (side > 3) out[3] = fc_a3 * difference_a + FC_TERM(4, fc_b3 * difference_b);
    if (side > 4) out[4] = fc_a4 * sum_a + FC_TERM(5, fc_b4 * sum_b);
#undef FC_TERM
}

/* The same of a short axis: the points 0, 1, 2 and 5 to two. */
FC_INLINE void fc_short_output_axis(const VEC *m, const int step, VEC *out) {
    VEC m1 = m[step], m2 = m[2 * step];
    out[0] = m[0] + (m1 + m2);
    out[1] = fc_a * (m1 - m2) + m[5 * step];
}

/* The even part of a polynomial of `count` coefficients; of those from the second on, the odd part
 * without its factor. */
FC_INLINE VEC fc_every_second(const VEC *c, const int step, const int count, float square) {
    VEC sum = c[0];
    if (count > 4) return sum + square * (c[2 * step] + square * c[4 * step]);
    if (count > 2) return sum + square * c[2 * step];
    return sum;
}

/* A along one axis: the values at the six points of a polynomial of `side` coefficients, two to
 * five. */
FC_INLINE void fc_gradient_axis(const VEC *y, const int step, const int side, VEC *out) {
    VEC even_a = fc_every_second(y, step, side, fc_a2);
    VEC even_b = fc_every_second(y, step, side, fc_b2);
    VEC odd_a = fc_a * fc_every_second(y + step, step, side - 1, fc_a2);
    VEC odd_b = fc_b * fc_every_second(y + step, step, side - 1, fc_b2);
    out[0] = y[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = y[(side - 1) * step];
}

/* 1 / product of (point - other points) for 0, +-a, +-b. */
#define FC_N0 (1.0f / 1.265625f)
#define FC_NA (1.0f / (2 * 0.5625f * (0.5625f - 2.25f)))
#define FC_NB (1.0f / (2 * 2.25f * (2.25f - 0.5625f)))

/* G along one axis: the same of `taps` coefficients, times the factors. */
FC_INLINE void fc_kernel_axis(const VEC *g, const int step, const int taps, VEC *out) {
    VEC even_a = FC_NA * fc_every_second(g, step, taps, fc_a2);
    VEC even_b = FC_NB * fc_every_second(g, step, taps, fc_b2);
    VEC odd_a = (FC_NA * fc_a) * fc_every_second(g + step, step, taps - 1, fc_a2);
    VEC odd_b = (FC_NB * fc_b) * fc_every_second(g + step, step, taps - 1, fc_b2);
    out[0] = FC_N0 * g[0];
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = g[(taps - 1) * step];
}

/* G' along one axis: six values to `taps`, two to five. */
FC_INLINE void fc_kernel_gradient_axis(const VEC *u, const int step, const int taps, VEC *out) {
    VEC sum_a = FC_NA * (u[step] + u[2 * step]), sum_b = FC_NB * (u[3 * step] + u[4 * step]);
    VEC difference_a = (FC_NA * fc_a) * (u[step] - u[2 * step]);
    VEC difference_b = (FC_NB * fc_b) * (u[3 * step] - u[4 * step]);
    out[0] = FC_N0 * u[0] + sum_a + sum_b;
    out[1] = difference_a + difference_b;
    if (taps > 2) out[2] = fc_a2 * sum_a + fc_b2 * sum_b;
    if (taps > 3) out[3] = fc_a2 * difference_a + fc_b2 * difference_b;
    if (taps > 4) out[4] = fc_a4 * sum_a + fc_b4 * sum_b;
    out[taps - 1] += u[5 * step];
}

/* v[xi] = B' d B for one vector of channels of one 6x6 tile. */
FC_LEAF void fc_input_tile(const float *d, ptrdiff_t d_row, ptrdiff_t d_pixel, float *v,
                           ptrdiff_t v_step) {
    VEC half[6][6];
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        VEC line[6], out[6];
        FC_UNROLL
        for (int row = 0; row < 6; row++)
            line[row] = fc_load_f32(d + row * d_row + column * d_pixel);
        fc_input_axis(line, 1, out);
        FC_UNROLL
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    FC_UNROLL
    for (int row = 0; row < 6; row++) {
        VEC out[6];
        fc_input_axis(half[row], 1, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            fc_store_f32(v + (6 * row + column) * v_step, out[column]);
    }
}

/* A vector of each line, from one of each row. */
FC_INLINE void fc_lines_vector(const VEC *rows, const int is_short, float *lines,
                               ptrdiff_t line_step) {
    VEC out[6];
    if (is_short)
        fc_short_input_axis(rows, 1, out);
    else
        fc_input_axis(rows, 1, out);
    FC_UNROLL
    for (int row = 0; row < 6; row++)
        if (!fc_lacking(is_short, row)) fc_store_f32(lines + row * line_step, out[row]);
}

FC_INLINE void fc_input_lines_body(const float *const *rows, ptrdiff_t count, ptrdiff_t next,
                                   const int is_short, float *lines, ptrdiff_t line_step) {
    static const float zeros[FC_LANES_F32];
    const int height = is_short ? 4 : 6;
    const ptrdiff_t whole = count / FC_LANES_F32 * FC_LANES_F32;
    const float *d[6];
    ptrdiff_t step[6];
    VEC line[6];
    for (int row = 0; row < height; row++) {
        d[row] = rows[row] ? rows[row] : zeros;
        step[row] = rows[row] ? FC_LANES_F32 : 0;
    }
    for (ptrdiff_t at = 0; at < whole; at += FC_LANES_F32) {
        FC_UNROLL
        for (int row = 0; row < height; row++) {
            line[row] = fc_load_f32(d[row]);
            if (row >= 2) __builtin_prefetch(d[row] + next, 0, 2);
            d[row] += step[row];
        }
        fc_lines_vector(line, is_short, lines + at, line_step);
    }
    if (whole == count) return;
    if (whole > 0) {
        /* The last vector ends where the line does, over a part of the one before. */
        FC_UNROLL
        for (int row = 0; row < height; row++)
            line[row] = fc_load_f32(rows[row] ? rows[row] + count - FC_LANES_F32 : zeros);
        fc_lines_vector(line, is_short, lines + count - FC_LANES_F32, line_step);
        return;
    }
    float end[6 * FC_LANES_F32];
    for (int row = 0; row < height; row++) {
        line[row] = (VEC){0};
        memcpy(&line[row], d[row], (size_t)count * sizeof(float));
    }
    fc_lines_vector(line, is_short, end, FC_LANES_F32);
    for (int row = 0; row < 6; row++)
        if (!fc_lacking(is_short, row))
            memcpy(lines + row * line_step, end + row * FC_LANES_F32,
                   (size_t)count * sizeof(float));
}

/* Lines of B' d: six rows of so many values each, or the four of a short tile, along the image,
 * combined to six; a row that the image does not have is NULL. */
FC_LEAF void fc_input_lines(const float *const *rows, ptrdiff_t count, ptrdiff_t next, int is_short,
                            float *lines, ptrdiff_t line_step) {
    if (is_short)
        fc_input_lines_body(rows, count, next, 1, lines, line_step);
    else
        fc_input_lines_body(rows, count, next, 0, lines, line_step);
}

#undef VEC
#endif
