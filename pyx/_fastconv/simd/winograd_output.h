/* Winograd's algorithm: the output's transform, which ends in bias, ReLU and the 2x2 max pool.
 */
#ifndef FASTCONV_WINOGRAD_OUTPUT_H
#define FASTCONV_WINOGRAD_OUTPUT_H

#include "winograd_axis.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

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
FC_INLINE void fc_output_tile(const float *m, ptrdiff_t m_step, VEC start, const float limit,
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
                              limit > 0 ? fc_clip_f32(value, limit) : value, channels);
        }
    }
}

FC_INLINE void fc_output_whole(const float *m, ptrdiff_t m_step, VEC start, const float limit,
                               float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, const int side) {
    fc_expect_tile(y, y_row, y_pixel, side);
    fc_output_tile(m, m_step, start, limit, y, y_row, y_pixel, side, 0, 0, side, side, LANES);
}

/* Any other tile. */
FC_LEAF void fc_output_some(const float *m, ptrdiff_t m_step, const float *bias, float limit,
                            float *y, ptrdiff_t y_row, ptrdiff_t y_pixel, int side, int short_row,
                            int short_column, int rows, int columns, int channels) {
    VEC start = fc_load_f32(bias);
#define FC_SOME(side, short_row, short_column)                                                  \
    fc_output_tile(m, m_step, start, limit, y, y_row, y_pixel, side, short_row, short_column, \
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
                                    const float *bias, float limit, float *y, ptrdiff_t y_row,
                                    ptrdiff_t y_pixel, const int side, int short_row,
                                    int short_column, int rows, int columns, int channels) {
    const int whole_row = rows >= side && !short_row && !short_column;
    for (; columns > 0; columns -= side) {
        for (int k = 0; k < channels; k += LANES) {
            VEC start = fc_load_f32(bias + k);
            if (!whole_row || columns < side || channels - k < LANES)
                fc_output_some(m + k, m_step, bias + k, limit, y + k, y_row, y_pixel, side,
                               short_row, short_column, rows, columns < side ? columns : side,
                               channels - k);
            else if (limit > 0)
                fc_output_whole(m + k, m_step, start, limit, y + k, y_row, y_pixel, side);
            else
                fc_output_whole(m + k, m_step, start, 0, y + k, y_row, y_pixel, side);
        }
        m += m_tile;
        y += side * y_pixel;
    }
}

/* y = [clipped](A' M A + bias) for the tiles side by side that hold `columns` pixels, of which up to
 * `side` rows exist, all of them short or none, and for some vectors of channels. */
FC_LEAF void fc_output_tiles(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                             const float *bias, float limit, float *y, ptrdiff_t y_row,
                             ptrdiff_t y_pixel, int side, int short_row, int short_column,
                             int rows, int columns, int channels) {
#define FC_SIDE(side)                                                                         \
    case side:                                                                                \
        fc_output_tiles_body(m, m_step, m_tile, bias, limit, y, y_row, y_pixel, side,          \
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

/* A tile of which rows x columns windows, and some channels, exist.  `argmax` is a constant for
 * the compiler: NULL or not. */
FC_INLINE void fc_output_pool_tile(const float *m, ptrdiff_t m_step, VEC start, float *y,
                                   uint8_t *argmax, ptrdiff_t y_row, ptrdiff_t y_pixel,
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
                              lower[2 * column + 1], &start, y + at, argmax ? argmax + at : NULL,
                              channels);
        }
    }
}

FC_INLINE void fc_output_pool_whole(const float *m, ptrdiff_t m_step, VEC start, float *y,
                                    uint8_t *argmax, ptrdiff_t y_row, ptrdiff_t y_pixel,
                                    const int side) {
    fc_expect_tile(y, y_row, y_pixel, side / 2);
    fc_output_pool_tile(m, m_step, start, y, argmax, y_row, y_pixel, side, 0, 0, side / 2,
                        side / 2, LANES);
}

/* Any other tile. */
FC_LEAF void fc_output_pool_some(const float *m, ptrdiff_t m_step, const float *bias, float *y,
                                 uint8_t *argmax, ptrdiff_t y_row, ptrdiff_t y_pixel, int side,
                                 int rows, int columns, int channels) {
    VEC start = fc_load_f32(bias);
#define FC_SOME(side, short_row, short_column)                                              \
    fc_output_pool_tile(m, m_step, start, y, argmax, y_row, y_pixel, side, short_row,      \
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
                                   const float *bias, float *y, uint8_t *argmax, ptrdiff_t y_row,
                                   ptrdiff_t y_pixel, const int side, int rows, int columns,
                                   int channels) {
    const int windows = side / 2;
    for (; columns > 0; columns -= windows) {
        for (int k = 0; k < channels; k += LANES) {
            VEC start = fc_load_f32(bias + k);
            if (rows < windows || columns < windows || channels - k < LANES)
                fc_output_pool_some(m + k, m_step, bias + k, y + k, argmax ? argmax + k : NULL,
                                    y_row, y_pixel, side, rows,
                                    columns < windows ? columns : windows, channels - k);
            else if (argmax)
                fc_output_pool_whole(m + k, m_step, start, y + k, argmax + k, y_row, y_pixel,
                                     side);
            else
                fc_output_pool_whole(m + k, m_step, start, y + k, NULL, y_row, y_pixel, side);
        }
        m += m_tile;
        y += windows * y_pixel;
        if (argmax) argmax += windows * y_pixel;
    }
}

/* One tile is four pool windows, or one: y = max(0, max of each window), argmax as in
 * fc_conv_pool_row; `columns` windows side by side, of which up to side / 2 rows exist: of four,
 * half a tile's is a short one's. */
FC_LEAF void fc_output_pool_tiles(const float *m, ptrdiff_t m_step, ptrdiff_t m_tile,
                                  const float *bias, float *y, uint8_t *argmax, ptrdiff_t y_row,
                                  ptrdiff_t y_pixel, int side, int rows, int columns,
                                  int channels) {
    if (side == 2)
        fc_output_pool_body(m, m_step, m_tile, bias, y, argmax, y_row, y_pixel, 2, rows, columns,
                            channels);
    else
        fc_output_pool_body(m, m_step, m_tile, bias, y, argmax, y_row, y_pixel, 4, rows, columns,
                            channels);
}

#undef VEC
#undef LANES
#endif
