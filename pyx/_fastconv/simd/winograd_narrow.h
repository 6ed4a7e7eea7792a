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
FC_INLINE void fc_narrow_input_tile(const float *half, ptrdiff_t line, int channels, float *v) {
    for (int row = 0; row < 6; row++) {
        fc_four_f32 in[6], out[6];
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            memcpy(&in[column], half + row * line + column * channels, sizeof in[column]);
        fc_input_axis_four(in, 1, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            memcpy(v + (6 * row + column) * 4, &out[column], sizeof out[column]);
    }
}

/* V of a row of tiles. */
FC_LEAF void fc_narrow_input_rows(const float *half, ptrdiff_t line, int tiles, int channels,
                                  float *v) {
    for (int tile = 0; tile < tiles; tile++)
        for (int channel = 0; channel < channels; channel += 4) {
            fc_narrow_input_tile(half + 4 * tile * channels + channel, line, channels, v);
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

/* The products of one tile and the output transform along its rows: half[vector][row][column]. */
FC_INLINE void fc_narrow_products(const int vectors, int channels, const float *v,
                                  const float *u, VEC half[2][6][4]) {
    /* Not unrolled: the compiler would carry values from row to row, through the stack. */
    _Pragma("GCC unroll 1")
    for (int row = 0; row < 6; row++) {
        VEC m[2][6];
        FC_UNROLL
        for (int column = 0; column < 6; column++) {
            VEC value = fc_splat_f32(v[column * 4]);
            FC_UNROLL
            for (int k = 0; k < vectors; k++)
                m[k][column] = value * fc_load_f32(u + (column * vectors + k) * LANES);
        }
        u += 6 * vectors * LANES;
        _Pragma("GCC unroll 1")
        for (int channel = 1; channel < channels; channel++) {
            const float *values = v + channel / 4 * FC_FOUR_CHANNELS + channel % 4;
            FC_UNROLL
            for (int column = 0; column < 6; column++) {
                VEC value = fc_splat_f32(values[column * 4]);
                FC_UNROLL
                for (int k = 0; k < vectors; k++)
                    m[k][column] += value * fc_load_f32(u + (column * vectors + k) * LANES);
            }
            u += 6 * vectors * LANES;
        }
        v += 6 * 4;
        FC_UNROLL
        for (int k = 0; k < vectors; k++) fc_narrow_output_axis(m[k], 1, half[k][row]);
    }
}

/* The transform down columns [first, first + 2) of a tile, with what both lack, and the bias. */
FC_INLINE void fc_narrow_output_columns(VEC half[6][4], const int first, VEC bias, VEC left[4],
                                        VEC right[4]) {
    fc_narrow_output_axis(&half[0][first], 4, left);
    fc_narrow_output_axis(&half[0][first + 1], 4, right);
    FC_UNROLL
    for (int row = 0; row < 4; row++) {
        left[row] = fc_a_powers[row + first] * left[row] + bias;
        right[row] = fc_a_powers[row + first + 1] * right[row] + bias;
    }
}

FC_INLINE void fc_narrow_tile(const int vectors, int channels, const float *v,
                              const float *u, const float *bias, int relu, float *y,
                              ptrdiff_t y_row, ptrdiff_t y_pixel) {
    VEC half[2][6][4];
    fc_narrow_products(vectors, channels, v, u, half);
    FC_UNROLL
    for (int k = 0; k < vectors; k++) {
        VEC start = fc_load_f32(bias + k * LANES);
        FC_UNROLL
        for (int pair = 0; pair < 2; pair++) {
            VEC side[2][4];
            fc_narrow_output_columns(half[k], 2 * pair, start, side[0], side[1]);
            FC_UNROLL
            for (int i = 0; i < 8; i++) {
                VEC value = side[i & 1][i >> 1];
                fc_store_f32(y + (i >> 1) * y_row + (2 * pair + (i & 1)) * y_pixel + k * LANES,
                             relu ? fc_relu_f32(value) : value);
            }
        }
    }
}

FC_INLINE void fc_narrow_pool_tile(const int vectors, int channels, const float *v,
                                   const float *u, const float *bias, float *y, uint8_t *winners,
                                   ptrdiff_t y_row, ptrdiff_t y_pixel) {
    VEC half[2][6][4];
    fc_narrow_products(vectors, channels, v, u, half);
    FC_UNROLL
    for (int k = 0; k < vectors; k++) {
        VEC start = fc_load_f32(bias + k * LANES);
        FC_UNROLL
        for (int pair = 0; pair < 2; pair++) {
            VEC left[4], right[4];
            fc_narrow_output_columns(half[k], 2 * pair, start, left, right);
            FC_UNROLL
            for (int row = 0; row < 2; row++) {
                ptrdiff_t at = row * y_row + pair * y_pixel + k * LANES;
                fc_pool_store_f32(left[2 * row], right[2 * row], left[2 * row + 1],
                                  right[2 * row + 1], y + at, winners ? winners + at : NULL,
                                  LANES);
            }
        }
    }
}

#define FC_NARROW_TILES(call, ...)                                                               \
    for (int tile = 0; tile < tiles; tile++, v += (channels + 3) / 4 * FC_FOUR_CHANNELS)         \
    call(__VA_ARGS__)

/* y = [relu](conv + bias) for whole tiles side by side, one or two vectors of filters. */
FC_LEAF void fc_narrow_tiles(int tiles, int vectors, int channels, const float *v,
                             const float *u, const float *bias, int relu, float *y,
                             ptrdiff_t y_row, ptrdiff_t y_pixel) {
    if (vectors == 2)
        FC_NARROW_TILES(fc_narrow_tile, 2, channels, v, u, bias, relu,
                        y + tile * 4 * y_pixel, y_row, y_pixel);
    else
        FC_NARROW_TILES(fc_narrow_tile, 1, channels, v, u, bias, relu,
                        y + tile * 4 * y_pixel, y_row, y_pixel);
}

/* The same through ReLU and 2x2 pooling, with the winners if they are wanted. */
FC_LEAF void fc_narrow_pool_tiles(int tiles, int vectors, int channels, const float *v,
                                  const float *u, const float *bias, float *y,
                                  uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel) {
    if (winners && vectors == 2)
        FC_NARROW_TILES(fc_narrow_pool_tile, 2, channels, v, u, bias,
                        y + tile * 2 * y_pixel, winners + tile * 2 * y_pixel, y_row, y_pixel);
    else if (vectors == 2)
        FC_NARROW_TILES(fc_narrow_pool_tile, 2, channels, v, u, bias,
                        y + tile * 2 * y_pixel, NULL, y_row, y_pixel);
    else
        FC_NARROW_TILES(fc_narrow_pool_tile, 1, channels, v, u, bias,
                        y + tile * 2 * y_pixel, winners ? winners + tile * 2 * y_pixel : NULL,
                        y_row, y_pixel);
}
#undef FC_NARROW_TILES

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
        fc_kernel_axis(g, 1, out);
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    for (int row = 0; row < 6; row++) {
        fc_kernel_axis(half[row], 1, out);
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
