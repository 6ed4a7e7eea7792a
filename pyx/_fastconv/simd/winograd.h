/* Winograd's algorithm: the kernel's transform, the products of the points and the output's
 * transform, which ends in bias, ReLU and the 2x2 max pool.
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
                               ptrdiff_t m_tile, int more) {
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
    if (more)
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
        fc_product_body(n, vectors, v, v_tile, channels, u, m, m_tile, more);                  \
        break;

FC_INLINE void fc_product_piece(int rows, const int vectors, const float *v, ptrdiff_t v_tile,
                                int channels, const float *u, float *m, ptrdiff_t m_tile,
                                int more) {
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

/* A' m along the columns, for one vector of channels. */
FC_INLINE void fc_output_half(const float *m, ptrdiff_t m_step, const int side,
                              const int short_row, const int short_column, VEC half[5][6]) {
    FC_ROLLED
    for (int column = 0; column < 6; column++) {
        VEC line[6], out[5];
        const float *from = m + column * m_step;
        if (fc_lacking(short_column, column)) continue;
        FC_UNROLL
        for (int row = 0; row < 6; row++) {
            if (!fc_lacking(short_row, row)) line[row] = fc_load_f32(from);
            from += 6 * m_step;
        }
        if (short_row)
            fc_short_output_axis(line, 1, out);
        else
            fc_output_axis(line, 1, side, out);
        FC_UNROLL
        for (int row = 0; row < side; row++)
            if (!short_row || row < 2) half[row][column] = out[row];
    }
}

/* And along a row. */
FC_INLINE void fc_output_row(const VEC *half, const int side, const int short_column, VEC *out) {
    if (short_column)
        fc_short_output_axis(half, 1, out);
    else
        fc_output_axis(half, 1, side, out);
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

/* A tile of which rows x columns, and some channels of the vector, exist: row by row, so that no
 * row waits in memory to be written. */
FC_INLINE void fc_output_tile(const float *m, ptrdiff_t m_step, VEC start, const int relu,
                              float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, const int side,
                              const int short_row, const int short_column, int rows, int columns,
                              int channels) {
    VEC half[5][6];
    fc_output_half(m, m_step, side, short_row, short_column, half);
    FC_UNROLL
    for (int row = 0; row < side; row++) {
        VEC out[5];
        if (row >= rows || (short_row && row >= 2)) break;
        fc_output_row(half[row], side, short_column, out);
        FC_UNROLL
        for (int column = 0; column < side; column++) {
            VEC value = out[column] + start;
            if (column >= columns || (short_column && column >= 2)) break;
            fc_store_some_f32(y + row * y_row + column * y_pixel,
                              relu ? fc_relu_f32(value) : value, channels);
        }
    }
}

FC_INLINE void fc_output_whole(const float *m, ptrdiff_t m_step, VEC start, const int relu,
                               float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, const int side) {
    fc_expect_tile(y, y_row, y_pixel, side);
    fc_output_tile(m, m_step, start, relu, y, y_row, y_pixel, side, 0, 0, side, side, LANES);
}

/* Any other tile. */
FC_LEAF void fc_output_some(const float *m, ptrdiff_t m_step, const float *bias, int relu,
                            float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, int side, int short_row,
                            int short_column, int rows, int columns, int channels) {
    VEC start = fc_load_f32(bias);
#define FC_SOME(side, short_row, short_column)                                                  \
    fc_output_tile(m, m_step, start, relu, y, y_row, y_pixel, side, short_row, short_column, \
                   rows, columns, channels)
    if (side != 4)
        switch (side) {
            case 2: FC_SOME(2, 0, 0); break;
            case 3: FC_SOME(3, 0, 0); break;
            case 5: FC_SOME(5, 0, 0); break;
        }
    else if (short_row && short_column)
        FC_SOME(4, 1, 1);
    else if (short_row)
        FC_SOME(4, 1, 0);
    else if (short_column)
        FC_SOME(4, 0, 1);
    else
        FC_SOME(4, 0, 0);
#undef FC_SOME
}

FC_INLINE void fc_output_tiles_body(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                                    const float *bias, int relu, float *y, ptrdiff_t y_row,
                                    ptrdiff_t y_pixel, const int side, int short_row,
                                    int short_column, int rows, int columns, int channels) {
    const int whole_row = rows >= side && !short_row && !short_column;
    for (; columns > 0; columns -= side) {
        for (int k = 0; k < channels; k += LANES) {
            VEC start = fc_load_f32(bias + k);
            if (!whole_row || columns < side || channels - k < LANES)
                fc_output_some(m + k, m_step, bias + k, relu, y + k, y_row, y_pixel, side,
                               short_row, short_column, rows, columns < side ? columns : side,
                               channels - k);
            else if (relu)
                fc_output_whole(m + k, m_step, start, 1, y + k, y_row, y_pixel, side);
            else
                fc_output_whole(m + k, m_step, start, 0, y + k, y_row, y_pixel, side);
        }
        m += m_tile;
        y += side * y_pixel;
    }
}

/* y = [relu](A' M A + bias) for the tiles side by side that hold `columns` pixels, of which up to
 * `side` rows exist, all of them short or none, and for some vectors of channels. */
FC_LEAF void fc_output_tiles(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                             const float *bias, int relu, float *y, ptrdiff_t y_row,
                             ptrdiff_t y_pixel, int side, int short_row, int short_column,
                             int rows, int columns, int channels) {
#define FC_SIDE(side)                                                                         \
    case side:                                                                                \
        fc_output_tiles_body(m, m_step, m_tile, bias, relu, y, y_row, y_pixel, side,          \
                             short_row, short_column, rows, columns, channels);               \
        break;
    switch (side) {
        FC_SIDE(2)
        FC_SIDE(3)
        FC_SIDE(4)
        FC_SIDE(5)
    }
#undef FC_SIDE
}

/* A tile of which rows x columns windows, and some channels, exist.  `winners` is a constant for
 * the compiler: NULL or not. */
FC_INLINE void fc_output_pool_tile(const float *m, ptrdiff_t m_step, VEC start, float *y,
                                   uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel,
                                   const int side, const int short_row, const int short_column,
                                   int rows, int columns, int channels) {
    VEC half[5][6];
    fc_output_half(m, m_step, side, short_row, short_column, half);
    FC_ROLLED
    for (int row = 0; row < side / 2; row++) {
        VEC upper[4], lower[4];
        if (row >= rows || (short_row && row >= 1)) break;
        fc_output_row(half[2 * row], side, short_column, upper);
        fc_output_row(half[2 * row + 1], side, short_column, lower);
        FC_UNROLL
        for (int column = 0; column < side / 2; column++) {
            ptrdiff_t at = row * y_row + column * y_pixel;
            if (column >= columns || (short_column && column >= 1)) break;
            fc_pool_store_f32(upper[2 * column], upper[2 * column + 1], lower[2 * column],
                              lower[2 * column + 1], &start, y + at, winners ? winners + at : NULL,
                              channels);
        }
    }
}

FC_INLINE void fc_output_pool_whole(const float *m, ptrdiff_t m_step, VEC start, float *y,
                                    uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel,
                                    const int side) {
    fc_expect_tile(y, y_row, y_pixel, side / 2);
    fc_output_pool_tile(m, m_step, start, y, winners, y_row, y_pixel, side, 0, 0, side / 2,
                        side / 2, LANES);
}

/* Any other tile. */
FC_LEAF void fc_output_pool_some(const float *m, ptrdiff_t m_step, const float *bias, float *y,
                                 uint8_t *winners, ptrdiff_t y_row, ptrdiff_t y_pixel, int side,
                                 int rows, int columns, int channels) {
    VEC start = fc_load_f32(bias);
#define FC_SOME(side, short_row, short_column)                                              \
    fc_output_pool_tile(m, m_step, start, y, winners, y_row, y_pixel, side, short_row,      \
                        short_column, rows, columns, channels)
    if (side == 2)
        FC_SOME(2, 0, 0);
    else if (rows == 1 && columns == 1)
        FC_SOME(4, 1, 1);
    else if (rows == 1)
        FC_SOME(4, 1, 0);
    else if (columns == 1)
        FC_SOME(4, 0, 1);
    else
        FC_SOME(4, 0, 0);
#undef FC_SOME
}

FC_INLINE void fc_output_pool_body(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                                   const float *bias, float *y, uint8_t *winners, ptrdiff_t y_row,
                                   ptrdiff_t y_pixel, const int side, int rows, int columns,
                                   int channels) {
    const int windows = side / 2;
    for (; columns > 0; columns -= windows) {
        for (int k = 0; k < channels; k += LANES) {
            VEC start = fc_load_f32(bias + k);
            if (rows < windows || columns < windows || channels - k < LANES)
                fc_output_pool_some(m + k, m_step, bias + k, y + k, winners ? winners + k : NULL,
                                    y_row, y_pixel, side, rows,
                                    columns < windows ? columns : windows, channels - k);
            else if (winners)
                fc_output_pool_whole(m + k, m_step, start, y + k, winners + k, y_row, y_pixel,
                                     side);
            else
                fc_output_pool_whole(m + k, m_step, start, y + k, NULL, y_row, y_pixel, side);
        }
        m += m_tile;
        y += windows * y_pixel;
        if (winners) winners += windows * y_pixel;
    }
}

/* One tile is four pool windows, or one: y = max(0, max of each window), winners as in
 * fc_conv_pool_row; `columns` windows side by side, of which up to side / 2 rows exist: of four,
 * half a tile's is a short one's. */
FC_LEAF void fc_output_pool_tiles(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                                  const float *bias, float *y, uint8_t *winners, ptrdiff_t y_row,
                                  ptrdiff_t y_pixel, int side, int rows, int columns,
                                  int channels) {
    if (side == 2)
        fc_output_pool_body(m, m_step, m_tile, bias, y, winners, y_row, y_pixel, 2, rows, columns,
                            channels);
    else
        fc_output_pool_body(m, m_step, m_tile, bias, y, winners, y_row, y_pixel, 4, rows, columns,
                            channels);
}

#undef VEC
#undef LANES
#endif
