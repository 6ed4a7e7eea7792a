/* Winograd's minimal filtering F(4x4, 3x3): the transforms, on vectors of channels.
 *
 * One 4x4 tile of outputs needs 36 multiplications a channel pair instead of 144:
 *     Y = A' [ (G g G') . (B' d B) ] A
 * with d the 6x6 input tile, g the 3x3 kernel, "." elementwise (a matrix product once
 * summed over channels).  The interpolation points are 0, +-a, +-b and infinity with
 * a = 3/4, b = 3/2: the products a*b etc. are exact in binary, and rounding errors are
 * a third of those of the usual 0, +-1, +-2.
 *
 * The rows for +p and -p are even(p) + odd(p) and even(p) - odd(p), which halves the work.
 * The gradients use the same matrices transposed: Z = A dy A', dg = G' (V' Z) G.
 *
 * Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016.
 */
#ifndef FASTCONV_WINOGRAD_H
#define FASTCONV_WINOGRAD_H

#include "tile.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

static const float fc_a = 0.75f, fc_b = 1.5f;
static const float fc_a2 = 0.5625f, fc_b2 = 2.25f;
static const float fc_sum = 2.8125f;      /* a^2 + b^2 */
static const float fc_product = 1.265625f; /* a^2 b^2 */

/* B' along one axis: six values to six. */
FC_INLINE void fc_input_axis(const VEC *d, const int step, VEC *out) {
    VEC d0 = d[0], d1 = d[step], d2 = d[2 * step];
    VEC d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    VEC even_a = d4 - fc_b2 * d2, odd_a = fc_a * (d3 - fc_b2 * d1);
    VEC even_b = d4 - fc_a2 * d2, odd_b = fc_b * (d3 - fc_a2 * d1);
    out[0] = fc_product * d0 - fc_sum * d2 + d4;
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = fc_product * d1 - fc_sum * d3 + d5;
}

/* A' along one axis: six values to four. */
FC_INLINE void fc_output_axis(const VEC *m, const int step, VEC *out) {
    VEC m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    VEC sum_a = m1 + m2, sum_b = m3 + m4;
    VEC difference_a = fc_a * (m1 - m2), difference_b = fc_b * (m3 - m4);
    out[0] = m[0] + sum_a + sum_b;
    out[1] = difference_a + difference_b;
    out[2] = fc_a2 * sum_a + fc_b2 * sum_b;
    out[3] = fc_a2 * difference_a + fc_b2 * difference_b + m[5 * step];
}

/* A along one axis: four values to six. */
FC_INLINE void fc_gradient_axis(const VEC *y, const int step, VEC *out) {
    VEC y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    VEC even_a = y0 + fc_a2 * y2, odd_a = fc_a * (y1 + fc_a2 * y3);
    VEC even_b = y0 + fc_b2 * y2, odd_b = fc_b * (y1 + fc_b2 * y3);
    out[0] = y0;
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = y3;
}

/* 1 / product of (point - other points) for 0, +-a, +-b. */
#define FC_N0 (1.0f / 1.265625f)
#define FC_NA (1.0f / (2 * 0.5625f * (0.5625f - 2.25f)))
#define FC_NB (1.0f / (2 * 2.25f * (2.25f - 0.5625f)))

/* G along one axis: three values to six. */
FC_INLINE void fc_kernel_axis(const VEC *g, const int step, VEC *out) {
    VEC g0 = g[0], g1 = g[step], g2 = g[2 * step];
    VEC even_a = FC_NA * (g0 + fc_a2 * g2), odd_a = (FC_NA * fc_a) * g1;
    VEC even_b = FC_NB * (g0 + fc_b2 * g2), odd_b = (FC_NB * fc_b) * g1;
    out[0] = FC_N0 * g0;
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = g2;
}

/* G' along one axis: six values to three. */
FC_INLINE void fc_kernel_gradient_axis(const VEC *u, const int step, VEC *out) {
    VEC sum_a = FC_NA * (u[step] + u[2 * step]), sum_b = FC_NB * (u[3 * step] + u[4 * step]);
    out[0] = FC_N0 * u[0] + sum_a + sum_b;
    out[1] = (FC_NA * fc_a) * (u[step] - u[2 * step]) + (FC_NB * fc_b) * (u[3 * step] - u[4 * step]);
    out[2] = fc_a2 * sum_a + fc_b2 * sum_b + u[5 * step];
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

/* z[xi] = A dy A' for one vector of channels of a whole 4x4 tile; their 16 values' sum to `sum`,
 * added to what is there. */
FC_LEAF void fc_gradient_tile_transform(const float *dy, ptrdiff_t dy_row, ptrdiff_t dy_pixel,
                                        float *z, ptrdiff_t z_step, float *sum) {
    VEC half[6][4], total = {0};
    FC_UNROLL
    for (int column = 0; column < 4; column++) {
        VEC line[4], out[6];
        FC_UNROLL
        for (int row = 0; row < 4; row++)
            line[row] = fc_load_f32(dy + row * dy_row + column * dy_pixel);
        total += (line[0] + line[1]) + (line[2] + line[3]);
        fc_gradient_axis(line, 1, out);
        FC_UNROLL
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    fc_store_f32(sum, fc_load_f32(sum) + total);
    FC_UNROLL
    for (int row = 0; row < 6; row++) {
        VEC out[6];
        fc_gradient_axis(half[row], 1, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            fc_store_f32(z + (6 * row + column) * z_step, out[column]);
    }
}

/* The same where only rows x columns of the tile or some channels of the vector exist. */
FC_LEAF void fc_gradient_edge_transform(const float *dy, ptrdiff_t dy_row, ptrdiff_t dy_pixel,
                                        int rows, int columns, int channels, float *z,
                                        ptrdiff_t z_step, float *sum) {
    float tile[16 * LANES] = {0};
    int some = channels < LANES ? channels : LANES;
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++)
            for (int k = 0; k < some; k++)
                tile[(4 * row + column) * LANES + k] = dy[row * dy_row + column * dy_pixel + k];
    fc_gradient_tile_transform(tile, 4 * LANES, LANES, z, z_step, sum);
}

/* Values of V in one register tile of the kernel gradient, by up to three vectors of Z: their
 * sums, three vectors and a broadcast one fill 16 or 32 registers with 7 loads per 12
 * multiply-adds, and the rows divide a vector of V. */
#if FC_BYTES == 64
#define FC_OUTER_ROWS 8
#else
#define FC_OUTER_ROWS 4
#endif
enum { FC_WINOGRAD_OUTER_ROWS = FC_OUTER_ROWS, FC_WINOGRAD_OUTER_VECTORS = 3 };

FC_INLINE void fc_outer_body(const int vectors, const float *v, const float *z, ptrdiff_t tiles,
                             float *sums_out, int overwrite) {
    VEC sums[FC_OUTER_ROWS][3];
    FC_UNROLL
    for (int i = 0; i < FC_OUTER_ROWS; i++)
        FC_UNROLL
        for (int k = 0; k < vectors; k++)
            sums[i][k] = (VEC){0};
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        VEC side[3];
        FC_UNROLL
        for (int k = 0; k < vectors; k++) side[k] = fc_load_f32(z + k * LANES);
        FC_UNROLL
        for (int i = 0; i < FC_OUTER_ROWS; i++) {
            VEC value = fc_splat_f32(v[i]);
            FC_UNROLL
            for (int k = 0; k < vectors; k++) sums[i][k] += side[k] * value;
        }
        v += LANES;
        z += vectors * LANES;
    }
    FC_UNROLL
    for (int i = 0; i < FC_OUTER_ROWS; i++)
        FC_UNROLL
        for (int k = 0; k < vectors; k++) {
            float *to = sums_out + (i * vectors + k) * LANES;
            fc_store_f32(to, overwrite ? sums[i][k] : fc_load_f32(to) + sums[i][k]);
        }
}

/* sums (rows, vectors) (+)= sum over tiles of v[tile][0:rows] by z[tile]; v is a vector a tile.
 * The tiles are summed by themselves first: a long sum would lose digits with each of them. */
FC_LEAF void fc_outer_tile(int vectors, const float *v, const float *z, ptrdiff_t tiles,
                           float *sums, int overwrite) {
    if (vectors == 3)
        fc_outer_body(3, v, z, tiles, sums, overwrite);
    else if (vectors == 2)
        fc_outer_body(2, v, z, tiles, sums, overwrite);
    else
        fc_outer_body(1, v, z, tiles, sums, overwrite);
}

FC_INLINE void fc_product_body(const int rows, const int vectors, const float *v,
                               ptrdiff_t v_tile, int channels, const float *u, float *m,
                               ptrdiff_t m_tile) {
    VEC sums[FC_NARROW_ROWS][2];
    const float *p[FC_NARROW_ROWS];
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        p[i] = v + i * v_tile;
        sums[i][0] = sums[i][1] = (VEC){0};
    }
    for (int channel = 0; channel < channels; channel++) {
        VEC first = fc_load_f32(u), second = first;
        if (vectors == 2) second = fc_load_f32(u + LANES);
        u += vectors * LANES;
        FC_UNROLL
        for (int i = 0; i < rows; i++) {
            VEC value = fc_splat_f32(p[i][channel]);
            sums[i][0] += first * value;
            if (vectors == 2) sums[i][1] += second * value;
        }
    }
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        fc_store_f32(m + i * m_tile, sums[i][0]);
        if (vectors == 2) fc_store_f32(m + i * m_tile + LANES, sums[i][1]);
    }
}

#define FC_PRODUCT_CASE(n)                                                                     \
    case n:                                                                                    \
        fc_product_body(n, vectors, v, v_tile, channels, u, m, m_tile);                        \
        break;

FC_INLINE void fc_product_piece(int rows, const int vectors, const float *v, ptrdiff_t v_tile,
                                int channels, const float *u, float *m, ptrdiff_t m_tile) {
    switch (rows) {
        FC_PRODUCT_CASE(1)
        FC_PRODUCT_CASE(2)
        FC_PRODUCT_CASE(3)
        FC_PRODUCT_CASE(4)
        FC_PRODUCT_CASE(5)
        FC_PRODUCT_CASE(6)
#if FC_ROWS > 6
        FC_PRODUCT_CASE(7)
        FC_PRODUCT_CASE(8)
        FC_PRODUCT_CASE(9)
        FC_PRODUCT_CASE(10)
        FC_PRODUCT_CASE(11)
        FC_PRODUCT_CASE(12)
#endif
    }
}
#undef FC_PRODUCT_CASE

/* m (tiles, vectors) = v (tiles, channels) u (channels, vectors), for one or two vectors. */
FC_LEAF void fc_points_product(ptrdiff_t tiles, int vectors, const float *v, ptrdiff_t v_tile,
                        int channels, const float *u, float *m, ptrdiff_t m_tile) {
    ptrdiff_t pieces = (tiles + FC_ROWS - 1) / FC_ROWS, tile = 0;
    for (ptrdiff_t piece = 0; piece < pieces; piece++) {
        /* Pieces of almost equal height: a last one of a single row would run at a third. */
        int rows = (int)((piece + 1) * tiles / pieces - tile);
        if (vectors == 2)
            fc_product_piece(rows, 2, v + tile * v_tile, v_tile, channels, u, m + tile * m_tile,
                             m_tile);
        else
            fc_product_piece(rows, 1, v + tile * v_tile, v_tile, channels, u, m + tile * m_tile,
                             m_tile);
        tile += rows;
    }
}

/* u[xi] = G g G' for one vector of output channels; g holds the nine taps. */
FC_LEAF void fc_kernel_tile(const float *g, ptrdiff_t g_tap, float *u, ptrdiff_t u_step) {
    VEC half[6][3];
    FC_UNROLL
    for (int column = 0; column < 3; column++) {
        VEC line[3], out[6];
        FC_UNROLL
        for (int row = 0; row < 3; row++) line[row] = fc_load_f32(g + (3 * row + column) * g_tap);
        fc_kernel_axis(line, 1, out);
        FC_UNROLL
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    FC_UNROLL
    for (int row = 0; row < 6; row++) {
        VEC out[6];
        fc_kernel_axis(half[row], 1, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            fc_store_f32(u + (6 * row + column) * u_step, out[column]);
    }
}

/* The nine taps of LANES channels by a vector of filters, the kernel turned round: taps holds
 * [channel][tap][filter], filters past the last one 0. */
FC_LEAF void fc_turned_taps(const float *kernel, ptrdiff_t tap_size, ptrdiff_t filter_step,
                            int channels, int filters, float *taps) {
    for (int tap = 0; tap < 9; tap++) {
        const float *from = kernel + (8 - tap) * tap_size;
        float *to = taps + tap * LANES;
        if (channels >= LANES && filters >= LANES) {
            FC_UNROLL
            for (int k = 0; k < LANES; k++)
                for (int channel = 0; channel < LANES; channel++)
                    to[channel * 9 * LANES + k] = from[k * filter_step + channel];
        } else {
            for (int channel = 0; channel < (channels < LANES ? channels : LANES); channel++)
                for (int k = 0; k < LANES; k++)
                    to[channel * 9 * LANES + k] =
                        k < filters ? from[k * filter_step + channel] : 0;
        }
    }
}

/* The nine taps of one channel by a vector of filters of which only some exist. */
FC_LEAF void fc_some_taps(const float *kernel, ptrdiff_t tap_size, int filters, float *taps) {
    for (int tap = 0; tap < 9; tap++)
        for (int k = 0; k < LANES; k++)
            taps[tap * LANES + k] = k < filters ? kernel[tap * tap_size + k] : 0;
}

/* dg = G' du G for one vector of output channels. */
FC_LEAF void fc_kernel_gradient_tile(const float *du, ptrdiff_t du_step, float *dg,
                                     ptrdiff_t dg_tap, int channels) {
    VEC half[3][6];
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        VEC line[6], out[3];
        FC_UNROLL
        for (int row = 0; row < 6; row++)
            line[row] = fc_load_f32(du + (6 * row + column) * du_step);
        fc_kernel_gradient_axis(line, 1, out);
        FC_UNROLL
        for (int row = 0; row < 3; row++) half[row][column] = out[row];
    }
    for (int row = 0; row < 3; row++) {
        VEC out[3];
        fc_kernel_gradient_axis(half[row], 1, out);
        for (int column = 0; column < 3; column++)
            fc_store_some_f32(dg + (3 * row + column) * dg_tap, out[column], channels);
    }
}

/* A' m along the columns, for one vector of channels. */
FC_INLINE void fc_output_half(const float *m, ptrdiff_t m_step, VEC half[4][6]) {
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        VEC line[6], out[4];
        FC_UNROLL
        for (int row = 0; row < 6; row++)
            line[row] = fc_load_f32(m + (6 * row + column) * m_step);
        fc_output_axis(line, 1, out);
        FC_UNROLL
        for (int row = 0; row < 4; row++) half[row][column] = out[row];
    }
}

/* A' m A for one vector of channels. */
FC_INLINE void fc_output_transform(const float *m, ptrdiff_t m_step, VEC y[4][4]) {
    VEC half[4][6];
    fc_output_half(m, m_step, half);
    FC_UNROLL
    for (int row = 0; row < 4; row++) fc_output_axis(half[row], 1, y[row]);
}

/* Ask for the lines that a tile writes, before its sums: they lie too far apart for the CPU's own
 * prefetching. */
FC_INLINE void fc_expect_tile(const float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, const int side) {
    FC_UNROLL
    for (int row = 0; row < side; row++)
        FC_UNROLL
        for (int column = 0; column < side; column++)
            __builtin_prefetch(y + row * y_row + column * y_pixel, 1);
}

/* A whole tile: row by row, so that no row waits in memory to be written. */
FC_INLINE void fc_output_whole(const float *m, ptrdiff_t m_step, VEC start, int relu, float *y,
                               ptrdiff_t y_row, ptrdiff_t y_pixel) {
    VEC half[4][6];
    fc_expect_tile(y, y_row, y_pixel, 4);
    fc_output_half(m, m_step, half);
    FC_UNROLL
    for (int row = 0; row < 4; row++) {
        VEC out[4];
        fc_output_axis(half[row], 1, out);
        FC_UNROLL
        for (int column = 0; column < 4; column++) {
            VEC value = out[column] + start;
            fc_store_f32(y + row * y_row + column * y_pixel, relu ? fc_relu_f32(value) : value);
        }
    }
}

/* y = [relu](A' m A + bias) for one vector of channels; rows x columns of the tile exist. */
FC_LEAF void fc_output_tile(const float *m, ptrdiff_t m_step, const float *bias, int relu,
                            float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, int rows, int columns,
                            int channels) {
    VEC tile[4][4];
    VEC start = fc_load_f32(bias);
    if (rows == 4 && columns == 4 && channels >= LANES) {
        fc_output_whole(m, m_step, start, relu, y, y_row, y_pixel);
        return;
    }
    fc_output_transform(m, m_step, tile);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            VEC value = tile[row][column] + start;
            fc_store_some_f32(y + row * y_row + column * y_pixel,
                              relu ? fc_relu_f32(value) : value, channels);
        }
}

FC_INLINE void fc_output_pool_whole(const float *m, ptrdiff_t m_step, VEC start, float *y,
                                    uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel) {
    VEC half[4][6];
    fc_expect_tile(y, y_row, y_pixel, 2);
    fc_output_half(m, m_step, half);
    FC_UNROLL
    for (int row = 0; row < 2; row++) {
        VEC upper[4], lower[4];
        fc_output_axis(half[2 * row], 1, upper);
        fc_output_axis(half[2 * row + 1], 1, lower);
        FC_UNROLL
        for (int column = 0; column < 2; column++) {
            ptrdiff_t at = row * y_row + column * y_pixel;
            fc_pool_store_f32(upper[2 * column] + start, upper[2 * column + 1] + start,
                              lower[2 * column] + start, lower[2 * column + 1] + start, y + at,
                              winners ? winners + at : NULL, LANES);
        }
    }
}

/* One tile is four pool windows: y = max(0, max of each window), winners as in fc_conv_pool_tile. */
FC_LEAF void fc_output_pool_tile(const float *m, ptrdiff_t m_step, const float *bias, float *y,
                                 uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel, int rows,
                                 int columns, int channels) {
    VEC tile[4][4];
    VEC start = fc_load_f32(bias);
    if (rows == 2 && columns == 2 && channels >= LANES) {
        fc_output_pool_whole(m, m_step, start, y, winners, y_row, y_pixel);
        return;
    }
    fc_output_transform(m, m_step, tile);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            ptrdiff_t at = row * y_row + column * y_pixel;
            fc_pool_store_f32(tile[2 * row][2 * column] + start,
                              tile[2 * row][2 * column + 1] + start,
                              tile[2 * row + 1][2 * column] + start,
                              tile[2 * row + 1][2 * column + 1] + start, y + at,
                              winners ? winners + at : NULL, channels);
        }
}

#undef VEC
#undef LANES
#endif
