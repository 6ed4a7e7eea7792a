/* Batch normalization, a block of rows at a time: `lanes` values a row, each with its own mean
 * and scale.  Loops: rows inside, a few vectors of lanes outside, so that sums stay in registers;
 * the passes that write run along the rows.  float32, as layers compute.
 */
#ifndef FASTCONV_NORMALIZE_H
#define FASTCONV_NORMALIZE_H

#include "tile.h"

/* y = (x - center) * scale + shift, of each lane; behind it values may be clipped to 0 ... limit. */
typedef struct {
    const float *center, *scale, *shift;
    float limit; /* 0: they are not */
} fc_affine;

FC_INLINE fc_v_f32 fc_affine_of(const fc_affine *a, fc_v_f32 x, int lane) {
    return (x - fc_load_f32(a->center + lane)) * fc_load_f32(a->scale + lane) +
           fc_load_f32(a->shift + lane);
}

/* The gradient that passes the clipping; a NaN does not, as in a ReLU by itself. */
FC_INLINE fc_v_f32 fc_gate(const fc_affine *a, fc_v_f32 dy, fc_v_f32 x, int lane) {
    if (a->limit == 0) return dy;
    fc_v_f32 y = fc_affine_of(a, x, lane);
    return (fc_v_f32)((fc_i_f32)dy & (y > (fc_v_f32){0}) & (y < fc_splat_f32(a->limit)));
}

FC_INLINE void fc_moments_body(const int vectors, const float *x, int rows, int lanes,
                               float *mean, float *squares) {
    fc_v_f32 sums[4], center[4];
    FC_UNROLL
    for (int v = 0; v < vectors; v++) sums[v] = (fc_v_f32){0};
    for (int row = 0; row < rows; row++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            sums[v] += fc_load_f32(x + (ptrdiff_t)row * lanes + v * FC_LANES_F32);
    FC_UNROLL
    for (int v = 0; v < vectors; v++) {
        center[v] = sums[v] / fc_splat_f32((float)rows);
        sums[v] = (fc_v_f32){0};
    }
    for (int row = 0; row < rows; row++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++) {
            fc_v_f32 d = fc_load_f32(x + (ptrdiff_t)row * lanes + v * FC_LANES_F32) - center[v];
            sums[v] += d * d;
        }
    FC_UNROLL
    for (int v = 0; v < vectors; v++) {
        fc_store_f32(mean + v * FC_LANES_F32, center[v]);
        fc_store_f32(squares + v * FC_LANES_F32, sums[v]);
    }
}

/* Means of the block, and sums of squared differences from them. */
FC_LEAF void fc_moments(const float *x, int rows, int lanes, float *mean, float *squares) {
    int lane = 0;
    for (; lane + 4 * FC_LANES_F32 <= lanes; lane += 4 * FC_LANES_F32)
        fc_moments_body(4, x + lane, rows, lanes, mean + lane, squares + lane);
    for (; lane < lanes; lane += FC_LANES_F32) {
        int at = lane + FC_LANES_F32 <= lanes ? lane : lanes - FC_LANES_F32;
        fc_moments_body(1, x + at, rows, lanes, mean + at, squares + at);
    }
}

FC_INLINE void fc_affine_sums_body(const int vectors, const float *dy, const float *x, int rows,
                                   int lanes, const fc_affine *a, int lane, float *total,
                                   float *along) {
    fc_v_f32 sums[4][2];
    FC_UNROLL
    for (int v = 0; v < vectors; v++) sums[v][0] = sums[v][1] = (fc_v_f32){0};
    for (int row = 0; row < rows; row++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++) {
            int at = lane + v * FC_LANES_F32;
            fc_v_f32 value = fc_load_f32(x + (ptrdiff_t)row * lanes + at);
            fc_v_f32 g = fc_gate(a, fc_load_f32(dy + (ptrdiff_t)row * lanes + at), value, at);
            sums[v][0] += g;
            sums[v][1] += g * (value - fc_load_f32(a->center + at));
        }
    FC_UNROLL
    for (int v = 0; v < vectors; v++) {
        fc_store_f32(total + lane + v * FC_LANES_F32, sums[v][0]);
        fc_store_f32(along + lane + v * FC_LANES_F32, sums[v][1]);
    }
}

/* Sums over the block of dy and of dy * (x - center). */
FC_LEAF void fc_affine_sums(const float *dy, const float *x, int rows, int lanes,
                            const fc_affine *a, float *total, float *along) {
    int lane = 0;
    for (; lane + 4 * FC_LANES_F32 <= lanes; lane += 4 * FC_LANES_F32)
        fc_affine_sums_body(4, dy, x, rows, lanes, a, lane, total, along);
    for (; lane < lanes; lane += FC_LANES_F32) {
        int at = lane + FC_LANES_F32 <= lanes ? lane : lanes - FC_LANES_F32;
        fc_affine_sums_body(1, dy, x, rows, lanes, a, at, total, along);
    }
}

/* y = [clipped](affine x + residual), which may be NULL. */
FC_LEAF void fc_affine_rows(const float *x, const float *residual, int rows, int lanes,
                            const fc_affine *a, float *y) {
    for (int row = 0; row < rows; row++, x += lanes, y += lanes)
        for (int lane = 0; lane < lanes; lane += FC_LANES_F32) {
            int at = lane + FC_LANES_F32 <= lanes ? lane : lanes - FC_LANES_F32;
            fc_v_f32 value = fc_affine_of(a, fc_load_f32(x + at), at);
            if (residual) value += fc_load_f32(residual + (ptrdiff_t)row * lanes + at);
            fc_store_f32(y + at, a->limit > 0 ? fc_clip_f32(value, a->limit) : value);
        }
}

/* dx = by_dy * gated dy + by_x * (x - center) + constant. */
FC_LEAF void fc_affine_gradient_rows(const float *dy, const float *x, int rows, int lanes,
                                     const fc_affine *a, const float *by_dy, const float *by_x,
                                     const float *constant, float *dx) {
    for (int row = 0; row < rows; row++, x += lanes, dy += lanes, dx += lanes)
        for (int lane = 0; lane < lanes; lane += FC_LANES_F32) {
            int at = lane + FC_LANES_F32 <= lanes ? lane : lanes - FC_LANES_F32;
            fc_v_f32 value = fc_load_f32(x + at);
            fc_v_f32 g = fc_gate(a, fc_load_f32(dy + at), value, at);
            fc_store_f32(dx + at, fc_load_f32(by_dy + at) * g +
                                      fc_load_f32(by_x + at) *
                                          (value - fc_load_f32(a->center + at)) +
                                      fc_load_f32(constant + at));
        }
}

#endif
