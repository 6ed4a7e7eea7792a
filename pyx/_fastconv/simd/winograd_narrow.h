/* Winograd's F(4x4, 3x3) where a pixel has few channels: photos, mostly.
 *
 * With three channels the 36 products of a tile are small beside its transforms, so nothing
 * goes through memory that need not.  *Input*: the lines B' d, as everywhere; then the columns,
 * four channels a vector.
 * *Output*: a row of six points, one or two vectors of filters wide, is summed over the
 * channels in registers and leaves them transformed to four; down the columns the same, with
 * bias, ReLU and pooling.  M is never stored.
 *
 * The output transform here is short of its factors: A' = diag(1, a, a^2, a^3) of a matrix of
 * 1, 2, 4, 8 (since b = 2a) and a^-3.  The last is part of U, the others are multiplied in
 * together with the bias: one operation of twelve fewer along each axis.
 */
#ifndef FASTCONV_WINOGRAD_NARROW_H
#define FASTCONV_WINOGRAD_NARROW_H

#include "winograd_axis.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

/* V of four channels of a tile, [xi][channel]: a fixed layout, so that no address is computed. */
enum { FC_FOUR_CHANNELS = 36 * 4 };

static const float fc_a_powers[7] = {1,           0.75f,         0.5625f,        0.421875f,
                                     0.31640625f, 0.2373046875f, 0.177978515625f};

/* B' along the rows of a tile, four channels of it. */
FC_INLINE void fc_narrow_input_tile(const float *half, ptrdiff_t line, int channels,
                                    int short_row, const int short_column, float *v) {
    for (int row = 0; row < 6; row++) {
        fc_four_f32 in[6], out[6];
        if (fc_lacking(short_row, row)) continue;
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            if (!short_column || column < 4)
                memcpy(&in[column], half + row * line + column * channels, sizeof in[column]);
        if (short_column)
            fc_short_input_axis_four(in, 1, out);
        else
            fc_input_axis_four(in, 1, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            if (!fc_lacking(short_column, column))
                memcpy(v + (6 * row + column) * 4, &out[column], sizeof out[column]);
    }
}

/* V of a row of tiles, of which the last may be short. */
FC_LEAF void fc_narrow_input_rows(const float *half, ptrdiff_t line, int tiles, int channels,
                                  int short_row, int short_column, float *v) {
    for (int tile = 0; tile < tiles; tile++)
        for (int channel = 0; channel < channels; channel += 4) {
            const float *from = half + 4 * tile * channels + channel;
            if (short_column && tile == tiles - 1)
                fc_narrow_input_tile(from, line, channels, short_row, 1, v);
            else
                fc_narrow_input_tile(from, line, channels, short_row, 0, v);
            v += FC_FOUR_CHANNELS;
        }
}

/* diag(a^-i) A' along one axis, of values of which the last lacks a factor a^3. */
FC_INLINE void fc_narrow_output_axis(const VEC *m, const int step, VEC *out) {
    VEC sum_a = m[step] + m[2 * step], sum_b = m[3 * step] + m[4 * step];
    VEC difference_a = m[step] - m[2 * step], difference_b = m[3 * step] - m[4 * step];
    out[0] = (m[0] + sum_a) + sum_b;
    out[1] = (difference_a + difference_b) + difference_b;
    out[2] = sum_a + 4.0f * sum_b;
    out[3] = (difference_a + m[5 * step]) + 8.0f * difference_b;
}

/* The same of a short axis. */
FC_INLINE void fc_narrow_short_axis(const VEC *m, const int step, VEC *out) {
    out[0] = m[0] + (m[step] + m[2 * step]);
    out[1] = (m[step] - m[2 * step]) + fc_a2 * m[5 * step];
}

/* Add one channel's products to the sums of a row of points, or start these. */
FC_INLINE void fc_narrow_channel(const int vectors, const int short_column, const int accumulate,
                                 const float *v, const float *u, VEC m[2][6]) {
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        VEC value = fc_splat_f32(v[column * 4]);
        FC_UNROLL
        for (int k = 0; k < vectors; k++) {
            VEC product = value * fc_load_f32(u + (column * vectors + k) * LANES);
            if (!fc_lacking(short_column, column))
                m[k][column] = accumulate ? m[k][column] + product : product;
        }
    }
}

/* The sums of a row of points over three channels, which are loaded together: with vectors of eight
 * floats loads are what the products wait for. */
FC_INLINE void fc_narrow_photo(const int vectors, const int short_column, const float *v,
                               const float *u, VEC m[2][6]) {
    const int step = 6 * vectors * LANES;
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        if (fc_lacking(short_column, column)) continue;
        VEC values[3];
        fc_splat_three_f32(v + column * 4, values);
        FC_UNROLL
        for (int k = 0; k < vectors; k++) {
            const float *weights = u + (column * vectors + k) * LANES;
            m[k][column] = values[0] * fc_load_f32(weights);
            m[k][column] += values[1] * fc_load_f32(weights + step);
            m[k][column] += values[2] * fc_load_f32(weights + 2 * step);
        }
    }
}

/* The products of one tile and the output transform along its rows: half[vector][row][column]. */
FC_INLINE void fc_narrow_products(const int vectors, const int channels, const int short_row,
                                  const int short_column, const float *v, const float *u,
                                  VEC half[2][6][4]) {
    const ptrdiff_t step = 6 * vectors * LANES;
    /* Not unrolled: the compiler would carry values from row to row, through the stack. */
    FC_ROLLED
    for (int row = 0; row < 6; row++) {
        VEC m[2][6];
        if (short_row && row == 3) {
            row = 5;
            v += 2 * 6 * 4;
            u += 2 * channels * step;
        }
        if (channels == 3) {
            fc_narrow_photo(vectors, short_column, v, u, m);
            u += 3 * step;
        } else {
            fc_narrow_channel(vectors, short_column, 0, v, u, m);
            u += step;
            FC_ROLLED
            for (int channel = 1; channel < channels; channel++) {
                fc_narrow_channel(vectors, short_column, 1,
                                  v + channel / 4 * FC_FOUR_CHANNELS + channel % 4, u, m);
                u += step;
            }
        }
        v += 6 * 4;
        FC_UNROLL
        for (int k = 0; k < vectors; k++) {
            if (short_column)
                fc_narrow_short_axis(m[k], 1, half[k][row]);
            else
                fc_narrow_output_axis(m[k], 1, half[k][row]);
        }
    }
}

/* The transform down columns [first, first + 2) of a tile, with what both lack, and the bias. */
FC_INLINE void fc_narrow_output_columns(VEC half[6][4], const int first, const int short_row,
                                        VEC bias, VEC left[4], VEC right[4]) {
    if (short_row) {
        fc_narrow_short_axis(&half[0][first], 4, left);
        fc_narrow_short_axis(&half[0][first + 1], 4, right);
    } else {
        fc_narrow_output_axis(&half[0][first], 4, left);
        fc_narrow_output_axis(&half[0][first + 1], 4, right);
    }
    FC_UNROLL
    for (int row = 0; row < 4; row++) {
        if (short_row && row >= 2) break;
        left[row] = fc_a_powers[row + first] * left[row] + bias;
        right[row] = fc_a_powers[row + first + 1] * right[row] + bias;
    }
}

/* One or two vectors of filters, and how their outputs lie. */
typedef struct {
    int channels, vectors, pooled;
    float limit; /* above 0: outputs are clipped to 0 ... limit */
    const float *u, *bias;
    ptrdiff_t y_row, y_pixel;
} fc_narrow_panel;

FC_INLINE void fc_narrow_tile(const int vectors, const int channels, const int short_row,
                              const int short_column, const fc_narrow_panel *p, const float *v,
                              float *y) {
    VEC half[2][6][4];
    fc_narrow_products(vectors, channels, short_row, short_column, v, p->u, half);
    FC_UNROLL
    for (int k = 0; k < vectors; k++) {
        VEC start = fc_load_f32(p->bias + k * LANES);
        FC_UNROLL
        for (int pair = 0; pair < 2; pair++) {
            if (short_column && pair >= 1) break;
            VEC side[2][4];
            fc_narrow_output_columns(half[k], 2 * pair, short_row, start, side[0], side[1]);
            FC_UNROLL
            for (int i = 0; i < 8; i++) {
                if (short_row && i >= 4) break;
                VEC value = side[i & 1][i >> 1];
                fc_store_f32(y + (i >> 1) * p->y_row + (2 * pair + (i & 1)) * p->y_pixel
                                 + k * LANES,
                             p->limit > 0 ? fc_clip_f32(value, p->limit) : value);
            }
        }
    }
}

FC_INLINE void fc_narrow_pool_tile(const int vectors, const int channels, const int short_row,
                                   const int short_column, const fc_narrow_panel *p,
                                   const float *v, float *y, uint8_t *argmax) {
    VEC half[2][6][4];
    fc_narrow_products(vectors, channels, short_row, short_column, v, p->u, half);
    FC_UNROLL
    for (int k = 0; k < vectors; k++) {
        VEC start = fc_load_f32(p->bias + k * LANES);
        FC_UNROLL
        for (int pair = 0; pair < 2; pair++) {
            if (short_column && pair >= 1) break;
            VEC left[4], right[4];
            fc_narrow_output_columns(half[k], 2 * pair, short_row, start, left, right);
            FC_UNROLL
            for (int row = 0; row < 2; row++) {
                if (short_row && row >= 1) break;
                ptrdiff_t at = row * p->y_row + pair * p->y_pixel + k * LANES;
                fc_pool_store_f32(left[2 * row], right[2 * row], left[2 * row + 1],
                                  right[2 * row + 1], NULL, y + at,
                                  argmax ? argmax + at : NULL, LANES);
            }
        }
    }
}

/* Tiles of one kind side by side.  `keep`: whether argmax are wanted. */
FC_INLINE void fc_narrow_run(const int vectors, const int channels, const int short_row,
                             const int short_column, const int keep, const fc_narrow_panel *panel,
                             int tiles, const float *v, float *y, uint8_t *argmax) {
    /* A copy: what a store through `y` might change would be loaded again after each. */
    const fc_narrow_panel p = *panel;
    for (int tile = 0; tile < tiles; tile++) {
        if (keep || p.pooled)
            fc_narrow_pool_tile(vectors, channels, short_row, short_column, &p, v,
                                y + tile * 2 * p.y_pixel,
                                keep ? argmax + tile * 2 * p.y_pixel : NULL);
        else
            fc_narrow_tile(vectors, channels, short_row, short_column, &p, v,
                           y + tile * 4 * p.y_pixel);
        v += (channels + 3) / 4 * FC_FOUR_CHANNELS;
    }
}

#define FC_RUN(vectors, channels, short_row, short_column)                                     \
    do {                                                                                       \
        if (argmax)                                                                           \
            fc_narrow_run(vectors, channels, short_row, short_column, 1, p, tiles, v, y,       \
                          argmax);                                                            \
        else                                                                                   \
            fc_narrow_run(vectors, channels, short_row, short_column, 0, p, tiles, v, y, NULL); \
    } while (0)

FC_INLINE void fc_narrow_short_run(const int vectors, const fc_narrow_panel *p, int tiles,
                                   int short_row, int short_column, const float *v, float *y,
                                   uint8_t *argmax) {
    if (short_row && short_column)
        FC_RUN(vectors, p->channels, 1, 1);
    else if (short_row)
        FC_RUN(vectors, p->channels, 1, 0);
    else
        FC_RUN(vectors, p->channels, 0, 1);
}

/* y = [clipped or pooled] conv + bias for tiles of one kind side by side, all of whose outputs exist,
 * with the argmax unless they are NULL. */
FC_LEAF void fc_narrow_tiles(const fc_narrow_panel *p, int tiles, int short_row, int short_column,
                             const float *v, float *y, uint8_t *argmax) {
    const int two = p->vectors == 2;
    if ((short_row || short_column) && two)
        fc_narrow_short_run(2, p, tiles, short_row, short_column, v, y, argmax);
    else if (short_row || short_column)
        fc_narrow_short_run(1, p, tiles, short_row, short_column, v, y, argmax);
    else if (two)
        FC_RUN(2, p->channels, 0, 0);
    else
        FC_RUN(1, p->channels, 0, 0);
}
#undef FC_RUN

/* u (6 rows, channels, 6 columns, vectors) of one vector of filters of one channel, from its nine
 * taps; u points to that channel and vector. */
FC_LEAF void fc_narrow_kernel(const float *taps, ptrdiff_t tap_size, int filters, int channels,
                              int vectors, float *u) {
    VEC half[6][3], out[6];
    for (int column = 0; column < 3; column++) {
        VEC g[3];
        for (int row = 0; row < 3; row++) {
            float lanes[LANES] = {0};
            memcpy(lanes, taps + (3 * row + column) * tap_size,
                   (size_t)(filters < LANES ? filters : LANES) * sizeof(float));
            g[row] = fc_load_f32(lanes);
        }
        fc_kernel_axis(g, 1, 3, out);
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    for (int row = 0; row < 6; row++) {
        fc_kernel_axis(half[row], 1, 3, out);
        for (int column = 0; column < 6; column++) {
            float lacking = fc_a_powers[(row == 5) * 3 + (column == 5) * 3];
            fc_store_f32(u + (ptrdiff_t)(row * channels * 6 + column) * vectors * LANES,
                         out[column] / lacking);
        }
    }
}

#undef VEC
#undef LANES
#endif
