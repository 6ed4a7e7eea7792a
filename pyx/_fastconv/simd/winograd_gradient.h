/* Winograd's algorithm: what the kernel gradient needs, dg = G' (sum of V' Z) G.
 */
#ifndef FASTCONV_WINOGRAD_GRADIENT_H
#define FASTCONV_WINOGRAD_GRADIENT_H

#include "winograd_axis.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

FC_INLINE void fc_gradient_body(const float *dy, ptrdiff_t dy_row, ptrdiff_t dy_pixel,
                                const int side, float *z, ptrdiff_t z_step, float *sum) {
    VEC half[6][5], total = {0};
    FC_UNROLL
    for (int column = 0; column < side; column++) {
        VEC line[5], out[6];
        FC_UNROLL
        for (int row = 0; row < side; row++)
            line[row] = fc_load_f32(dy + row * dy_row + column * dy_pixel);
        total += line[0] + line[1];
        if (side > 3) total += line[2] + line[3];
        if (side % 2) total += line[side - 1];
        fc_gradient_axis(line, 1, side, out);
        FC_UNROLL
        for (int row = 0; row < 6; row++) half[row][column] = out[row];
    }
    fc_store_f32(sum, fc_load_f32(sum) + total);
    FC_UNROLL
    for (int row = 0; row < 6; row++) {
        VEC out[6];
        fc_gradient_axis(half[row], 1, side, out);
        FC_UNROLL
        for (int column = 0; column < 6; column++)
            fc_store_f32(z + (6 * row + column) * z_step, out[column]);
    }
}

/* z[xi] = A dy A' for one vector of channels of a whole tile of side x side; their sum to `sum`,
 * added to what is there. */
FC_LEAF void fc_gradient_tile_transform(const float *dy, ptrdiff_t dy_row, ptrdiff_t dy_pixel,
                                        int side, float *z, ptrdiff_t z_step, float *sum) {
    switch (side) {
        case 2: fc_gradient_body(dy, dy_row, dy_pixel, 2, z, z_step, sum); break;
        case 3: fc_gradient_body(dy, dy_row, dy_pixel, 3, z, z_step, sum); break;
        case 4: fc_gradient_body(dy, dy_row, dy_pixel, 4, z, z_step, sum); break;
        case 5: fc_gradient_body(dy, dy_row, dy_pixel, 5, z, z_step, sum); break;
    }
}

/* The same where only rows x columns of the tile or some channels of the vector exist. */
FC_LEAF void fc_gradient_edge_transform(const float *dy, ptrdiff_t dy_row, ptrdiff_t dy_pixel,
                                        int side, int rows, int columns, int channels, float *z,
                                        ptrdiff_t z_step, float *sum) {
    float tile[25 * LANES] = {0};
    int some = channels < LANES ? channels : LANES;
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++)
            for (int k = 0; k < some; k++)
                tile[(side * row + column) * LANES + k] = dy[row * dy_row + column * dy_pixel + k];
    fc_gradient_tile_transform(tile, (ptrdiff_t)side * LANES, LANES, side, z, z_step, sum);
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
                             float *sums_out, int accumulate) {
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
            fc_store_f32(to, accumulate ? fc_load_f32(to) + sums[i][k] : sums[i][k]);
        }
}

/* sums (rows, vectors) (+)= sum over tiles of v[tile][0:rows] by z[tile]; v is a vector a tile.
 * The tiles are summed by themselves first: a long sum would lose digits with each of them. */
FC_LEAF void fc_outer_tile(int vectors, const float *v, const float *z, ptrdiff_t tiles,
                           float *sums, int accumulate) {
    if (vectors == 3)
        fc_outer_body(3, v, z, tiles, sums, accumulate);
    else if (vectors == 2)
        fc_outer_body(2, v, z, tiles, sums, accumulate);
    else
        fc_outer_body(1, v, z, tiles, sums, accumulate);
}

FC_INLINE void fc_kernel_gradient_body(const float *du, ptrdiff_t du_step, const int taps,
                                       float *dg, ptrdiff_t dg_tap, int channels) {
    VEC half[5][6];
    FC_UNROLL
    for (int column = 0; column < 6; column++) {
        VEC line[6], out[5];
        FC_UNROLL
        for (int row = 0; row < 6; row++)
            line[row] = fc_load_f32(du + (6 * row + column) * du_step);
        fc_kernel_gradient_axis(line, 1, taps, out);
        FC_UNROLL
        for (int row = 0; row < taps; row++) half[row][column] = out[row];
    }
    for (int row = 0; row < taps; row++) {
        VEC out[5];
        fc_kernel_gradient_axis(half[row], 1, taps, out);
        for (int column = 0; column < taps; column++)
            fc_store_some_f32(dg + (taps * row + column) * dg_tap, out[column], channels);
    }
}

/* dg = G' du G for one vector of output channels of a kernel of taps x taps. */
FC_LEAF void fc_kernel_gradient_tile(const float *du, ptrdiff_t du_step, int taps, float *dg,
                                     ptrdiff_t dg_tap, int channels) {
    switch (taps) {
        case 2: fc_kernel_gradient_body(du, du_step, 2, dg, dg_tap, channels); break;
        case 3: fc_kernel_gradient_body(du, du_step, 3, dg, dg_tap, channels); break;
        case 4: fc_kernel_gradient_body(du, du_step, 4, dg, dg_tap, channels); break;
        case 5: fc_kernel_gradient_body(du, du_step, 5, dg, dg_tap, channels); break;
    }
}

#undef VEC
#undef LANES
#endif
