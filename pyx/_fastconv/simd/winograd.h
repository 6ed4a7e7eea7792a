/* Winograd's algorithm: the columns of the input's transform, the kernel's transform and the
 * products of the points; the output's transform is in winograd_output.h.
 */
#ifndef FASTCONV_WINOGRAD_H
#define FASTCONV_WINOGRAD_H

#include "winograd_axis.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

FC_INLINE void fc_input_columns_body(const float *lines, ptrdiff_t line_step, ptrdiff_t pixel,
                                     int channels, int short_row, const int short_column,
                                     float *v, ptrdiff_t v_step) {
    for (int channel = 0; channel < channels; channel += LANES) {
        FC_ROLLED
        for (int row = 0; row < 6; row++) {
            VEC d[6], out[6];
            const float *line = lines + row * line_step + channel;
            float *to = v + 6 * row * v_step + channel;
            if (fc_lacking(short_row, row)) continue;
            FC_UNROLL
            for (int column = 0; column < 6; column++)
                if (!short_column || column < 4)
                    d[column] = fc_load_f32(line + column * pixel);
            if (short_column)
                fc_short_input_axis(d, 1, out);
            else
                fc_input_axis(d, 1, out);
            FC_UNROLL
            for (int column = 0; column < 6; column++) {
                if (!fc_lacking(short_column, column)) fc_store_f32(to, out[column]);
                to += v_step;
            }
        }
    }
}

/* v[xi] = (B' d) B of one tile whose `lines` hold B' d, its columns `pixel` values apart; whole
 * vectors of channels are written. */
FC_LEAF void fc_input_columns(const float *lines, ptrdiff_t line_step, ptrdiff_t pixel,
                              int channels, int short_row, int short_column, float *v,
                              ptrdiff_t v_step) {
    if (short_column)
        fc_input_columns_body(lines, line_step, pixel, channels, short_row, 1, v, v_step);
    else
        fc_input_columns_body(lines, line_step, pixel, channels, short_row, 0, v, v_step);
}

FC_INLINE void fc_kernel_body(const float *g, ptrdiff_t g_tap, const int taps, float *u,
                              ptrdiff_t u_step) {
    VEC half[6][5];
    FC_UNROLL
    for (int column = 0; column < taps; column++) {
        VEC line[5], out[6];
        FC_UNROLL
        for (int row = 0; row < taps; row++)
            line[row] = fc_load_f32(g + (taps * row + column) * g_tap);
        fc_kernel_axis(line, 1, taps, out);
        FC_UNROLL
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    FC_UNROLL
    for (int row = 0; row < 6; row++) {
        VEC out[6];
        fc_kernel_axis(half[row], 1, taps, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            fc_store_f32(u + (6 * row + column) * u_step, out[column]);
    }
}

/* u[xi] = G g G' for one vector of output channels; g holds taps x taps of them. */
FC_LEAF void fc_kernel_tile(const float *g, ptrdiff_t g_tap, int taps, float *u,
                            ptrdiff_t u_step) {
    switch (taps) {
        case 2: fc_kernel_body(g, g_tap, 2, u, u_step); break;
        case 3: fc_kernel_body(g, g_tap, 3, u, u_step); break;
        case 4: fc_kernel_body(g, g_tap, 4, u, u_step); break;
        case 5: fc_kernel_body(g, g_tap, 5, u, u_step); break;
    }
}

/* One tap of some channels by a vector of filters, of which some exist: vectors `step` apart, 0 where
 * the kernel has no such tap. */
FC_LEAF void fc_copy_tap(const float *kernel, ptrdiff_t channel_step, int channels, int filters,
                         float *taps, ptrdiff_t step) {
    float some[LANES] = {0};
    for (int channel = 0; channel < channels; channel++, taps += step) {
        const float *from = kernel ? kernel + channel * channel_step : some;
        if (kernel && filters < LANES) from = memcpy(some, from, (size_t)filters * sizeof *some);
        fc_store_f32(taps, fc_load_f32(from));
    }
}

FC_INLINE void fc_product_body(const int rows, const int vectors, const float *v,
                               ptrdiff_t v_tile, int channels, const float *u, float *m,
                               ptrdiff_t m_tile, int accumulate) {
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
    if (accumulate)
        FC_UNROLL
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < vectors; k++)
                sums[i][k] += fc_load_f32(m + i * m_tile + k * LANES);
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        fc_store_f32(m + i * m_tile, sums[i][0]);
        if (vectors == 2) fc_store_f32(m + i * m_tile + LANES, sums[i][1]);
    }
}

#define FC_PRODUCT_CASE(n)                                                                     \
    case n:                                                                                    \
        fc_product_body(n, vectors, v, v_tile, channels, u, m, m_tile, accumulate);            \
        break;

FC_INLINE void fc_product_piece(int rows, const int vectors, const float *v, ptrdiff_t v_tile,
                                int channels, const float *u, float *m, ptrdiff_t m_tile,
                                int accumulate) {
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

/* Channels that are summed by themselves: a longer sum would lose digits with each of them. */
enum { FC_SUMMED = 256 };

/* m (tiles, vectors) = v (tiles, channels) u (channels, vectors), for one or two vectors. */
FC_LEAF void fc_points_product(ptrdiff_t tiles, int vectors, const float *v, ptrdiff_t v_tile,
                               int channels, const float *u, float *m, ptrdiff_t m_tile) {
    ptrdiff_t pieces = (tiles + FC_ROWS - 1) / FC_ROWS, tile = 0;
    for (ptrdiff_t piece = 0; piece < pieces; piece++) {
        /* Pieces of almost equal height: a last one of a single row would run at a third. */
        const int rows = (int)((piece + 1) * tiles / pieces - tile);
        for (int first = 0; first < channels; first += FC_SUMMED) {
            const int count = channels - first < FC_SUMMED ? channels - first : FC_SUMMED;
            const float *from = v + tile * v_tile + first, *by = u + first * vectors * LANES;
            if (vectors == 2)
                fc_product_piece(rows, 2, from, v_tile, count, by, m + tile * m_tile, m_tile,
                                 first > 0);
            else
                fc_product_piece(rows, 1, from, v_tile, count, by, m + tile * m_tile, m_tile,
                                 first > 0);
        }
        tile += rows;
    }
}

#undef VEC
#undef LANES
#endif
