/* Register tile of convolution + bias + ReLU + 2x2 max pooling: the four pixels of a window are
 * four rows of the tile, and only their maximum is written.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECI NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- convolution + bias + ReLU + 2x2 max pool: `windows` windows of four pixels ---- */

/* The maximum of four, cut at 0, and which it was (4: none is above 0).  The first of equals
 * wins; a NaN comes out, and is inactive as in the ReLU by itself.  `start`, or NULL, is the bias that
 * the four lack: the maximum plus the bias is what the maximum of the sums would be, for rounding
 * keeps order. */
FC_INLINE void NAME(fc_pool_store)(VEC first, VEC second, VEC third, VEC fourth, const VEC *start,
                                   REAL *out, uint8_t *argmax, int channels) {
    const VEC four[4] = {first, second, third, fourth};
    VECI argmax_at;
    VEC largest = NAME(fc_max)(NAME(fc_max)(first, second), NAME(fc_max)(third, fourth));
    if (start) largest += *start;
    NAME(fc_store_some)(out, NAME(fc_window_end)(four, largest, &argmax_at), channels);
    if (argmax) NAME(fc_store_some_bytes)(argmax, argmax_at, channels);
}

/* Windows side by side: their corners are `step` apart, their outputs `out_step`. */
FC_INLINE void NAME(fc_conv_pool_body)(const int windows, const int vectors, const REAL *corner,
                                       ptrdiff_t step, ptrdiff_t right, ptrdiff_t down, REAL *out,
                                       uint8_t *argmax, ptrdiff_t out_step,
                                       const ptrdiff_t *run_offset, int runs, int length,
                                       const REAL *weights, const REAL *bias, int channels) {
    VEC sums[FC_NARROW_ROWS][2];
    const REAL *pixel[FC_NARROW_ROWS];
    FC_UNROLL
    for (int i = 0; i < 4 * windows; i++) {
        pixel[i] = corner + (i / 4) * step + (i & 1) * right + ((i >> 1) & 1) * down;
        sums[i][0] = NAME(fc_load)(bias);
        if (vectors == 2) sums[i][1] = NAME(fc_load)(bias + LANES);
    }
    NAME(fc_accumulate)(4 * windows, vectors, sums, pixel, run_offset, runs, length, weights,
                        vectors * LANES, (ptrdiff_t)length * vectors * LANES);
    FC_UNROLL
    for (int w = 0; w < windows; w++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            NAME(fc_pool_store)(sums[4 * w][v], sums[4 * w + 1][v], sums[4 * w + 2][v],
                                sums[4 * w + 3][v], NULL, out + w * out_step + v * LANES,
                                argmax ? argmax + w * out_step + v * LANES : NULL,
                                channels - v * LANES);
}

FC_INLINE void NAME(fc_conv_pool_line)(const int vectors, int windows, const REAL *corner,
                                       ptrdiff_t step, ptrdiff_t right, ptrdiff_t down, REAL *out,
                                       uint8_t *argmax, ptrdiff_t out_step,
                                       const ptrdiff_t *run_offset, int runs, int length,
                                       const REAL *weights, const REAL *bias, int channels) {
    const int most = (vectors == 2 ? FC_ROWS : FC_NARROW_ROWS) / 4;
    int w = 0;
    for (; w + most <= windows; w += most)
        NAME(fc_conv_pool_body)(most, vectors, corner + w * step, step, right, down,
                                out + w * out_step, argmax ? argmax + w * out_step : NULL,
                                out_step, run_offset, runs, length, weights, bias, channels);
    for (; most > 1 && w < windows; w++)
        NAME(fc_conv_pool_body)(1, vectors, corner + w * step, step, right, down,
                                out + w * out_step, argmax ? argmax + w * out_step : NULL,
                                out_step, run_offset, runs, length, weights, bias, channels);
}

/* A row of windows: out[w] = max(0, max of the window's four sums), argmax[w] = which of them, 4
 * if none is > 0.  `argmax` may be NULL. */
FC_LEAF void NAME(fc_conv_pool_row)(int windows, int vectors, const REAL *corner, ptrdiff_t step,
                                    ptrdiff_t right, ptrdiff_t down, REAL *out, uint8_t *argmax,
                                    ptrdiff_t out_step, const ptrdiff_t *run_offset, int runs,
                                    int length, const REAL *weights, const REAL *bias,
                                    int channels) {
    if (vectors == 2)
        NAME(fc_conv_pool_line)(2, windows, corner, step, right, down, out, argmax, out_step,
                                run_offset, runs, length, weights, bias, channels);
    else
        NAME(fc_conv_pool_line)(1, windows, corner, step, right, down, out, argmax, out_step,
                                run_offset, runs, length, weights, bias, channels);
}

#undef VEC
#undef VECI
#undef LANES
