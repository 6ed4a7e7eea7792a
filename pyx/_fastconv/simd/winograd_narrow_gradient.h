/* Winograd's F(4x4, 3x3), the kernel gradient where a pixel has few channels.
 *
 * Of a handful of tiles Z = A dy A' is made, for one or two vectors of filters; that stays in the
 * L1 cache for the 36 products with V, whose sums over the handful are in registers: a few
 * points at a time, so many that points x channels x vectors fill them.
 */
#ifndef FASTCONV_WINOGRAD_NARROW_GRADIENT_H
#define FASTCONV_WINOGRAD_NARROW_GRADIENT_H

#include "winograd_gradient.h"
#include "winograd_narrow.h"

#define VEC fc_v_f32
#define LANES FC_LANES_F32

/* Tiles of a handful: two vectors of their Z take half of a usual L1 cache. */
enum { FC_HANDFUL = FC_BYTES == 64 ? 3 : 6 };

/* z = A dy A' of whole tiles side by side; the sums of dy are added to `sums`. */
FC_LEAF void fc_narrow_gradient_tiles(int tiles, int vectors, const float *dy, ptrdiff_t dy_row,
                                      ptrdiff_t dy_pixel, float *z, float *sums) {
    ptrdiff_t z_step = (ptrdiff_t)FC_HANDFUL * vectors * LANES;
    for (int tile = 0; tile < tiles; tile++)
        for (int k = 0; k < vectors; k++)
            fc_gradient_tile_transform(dy + 4 * tile * dy_pixel + k * LANES, dy_row, dy_pixel, 4,
                                       z + (tile * vectors + k) * LANES, z_step,
                                       sums + k * LANES);
}

/* du[xi][channel] += sum over tiles of v[tile][xi][channel] z[xi][tile], for `points` xi at a
 * time; du's points are du_step apart. */
FC_INLINE void fc_narrow_outer_body(const int points, const int channels, const int vectors,
                                    int tiles, const float *v, ptrdiff_t v_tile, const float *z,
                                    float *du, ptrdiff_t du_step) {
    const int z_step = FC_HANDFUL * vectors * LANES;
    for (int xi = 0; xi < 36; xi += points) {
        VEC sums[12];
        FC_UNROLL
        for (int i = 0; i < points * channels * vectors; i++) sums[i] = (VEC){0};
        for (int tile = 0; tile < tiles; tile++) {
            FC_UNROLL
            for (int p = 0; p < points; p++) {
                VEC side[2];
                FC_UNROLL
                for (int k = 0; k < vectors; k++) {
                    side[k] = fc_load_f32(z + p * z_step + (tile * vectors + k) * LANES);
                    FC_HOLD(side[k]);
                }
                FC_UNROLL
                for (int c = 0; c < channels; c++) {
                    VEC value = fc_splat_f32(v[tile * v_tile + p * 4 + c]);
                    FC_UNROLL
                    for (int k = 0; k < vectors; k++)
                        sums[(p * channels + c) * vectors + k] += value * side[k];
                }
            }
        }
        FC_UNROLL
        for (int p = 0; p < points; p++)
            FC_UNROLL
            for (int i = 0; i < channels * vectors; i++) {
                float *to = du + p * du_step + i * LANES;
                fc_store_f32(to, fc_load_f32(to) + sums[p * channels * vectors + i]);
            }
        v += points * 4;
        z += points * z_step;
        du += points * du_step;
    }
}

/* Up to four channels: as many points at a time as registers hold. */
FC_INLINE void fc_narrow_outer_four(const int vectors, int channels, int tiles, const float *v,
                                    ptrdiff_t v_tile, const float *z, float *du,
                                    ptrdiff_t du_step) {
    switch (channels) {
    case 1: fc_narrow_outer_body(6, 1, vectors, tiles, v, v_tile, z, du, du_step); break;
    case 2: fc_narrow_outer_body(3, 2, vectors, tiles, v, v_tile, z, du, du_step); break;
    case 3: fc_narrow_outer_body(2, 3, vectors, tiles, v, v_tile, z, du, du_step); break;
    default: fc_narrow_outer_body(1, 4, vectors, tiles, v, v_tile, z, du, du_step); break;
    }
}

/* du (36, channels, vectors) += V' Z over a handful of tiles. */
FC_LEAF void fc_narrow_outer(int tiles, int vectors, int channels, const float *v,
                             const float *z, float *du) {
    ptrdiff_t v_tile = (channels + 3) / 4 * FC_FOUR_CHANNELS;
    ptrdiff_t du_step = (ptrdiff_t)channels * vectors * LANES;
    for (int first = 0; first < channels; first += 4) {
        if (vectors == 2)
            fc_narrow_outer_four(2, channels - first, tiles, v, v_tile, z, du, du_step);
        else
            fc_narrow_outer_four(1, channels - first, tiles, v, v_tile, z, du, du_step);
        v += FC_FOUR_CHANNELS;
        du += 4 * vectors * LANES;
    }
}

#undef VEC
#undef LANES
#endif
