/* Register tiles: the innermost loops of convolution and dense layers.
 *
 * A tile keeps ROWS x 1 or 2 vectors of sums in registers while it walks a
 * reduction; per step it loads one or two vectors of one operand and
 * broadcasts ROWS numbers of the other, so that 2 * ROWS multiply-adds share
 * ROWS + 2 loads.  Tiles with fewer rows exist for the edges: each entry point
 * switches on the number of rows and inlines a body with constant bounds.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECU NAME(fc_u)
#define VECI NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

FC_INLINE VEC NAME(fc_load)(const REAL *p) { return *(const VECU *)p; }
FC_INLINE void NAME(fc_store)(REAL *p, VEC v) { *(VECU *)p = v; }
FC_INLINE VEC NAME(fc_splat)(REAL s) { return s - (VEC){0}; }
/* A NaN stays a NaN: the comparison is false for it. */
FC_INLINE VEC NAME(fc_relu)(VEC v) { return (VEC)((VECI)v & ~(v < (VEC){0})); }
/* Not above `limit` either; 0 is none. */
FC_INLINE VEC NAME(fc_clip)(VEC v, float limit) {
    VEC most = NAME(fc_splat)(limit);
    v = NAME(fc_relu)(v);
    return (VEC)(((VECI)most & (v > most)) | ((VECI)v & ~(v > most)));
}

FC_INLINE void NAME(fc_store_some)(REAL *p, VEC v, int count) {
    if (count >= LANES)
        NAME(fc_store)(p, v);
    else if (count > 0)
        NAME(fc_store_first)(p, v, count);
}

/* Ask for a stretch of values that will be needed soon: L2 fetches while the sums compute. */
FC_LEAF void NAME(fc_prefetch)(const REAL *from, ptrdiff_t count) {
    const ptrdiff_t line = 64 / sizeof(REAL);
    for (ptrdiff_t at = 0; at < count; at += line) __builtin_prefetch(from + at, 0, 2);
    __asm__ volatile(""); /* or GCC drops every call of what has no effect */
}

/* sums[i] += weights . pixel[i], over `runs` stretches of `length` contiguous values, whose weights
 * lie run_step values apart. */
FC_INLINE void NAME(fc_accumulate)(const int rows, const int vectors, VEC sums[][2],
                                   const REAL *const *pixel, const ptrdiff_t *run_offset,
                                   int runs, int length, const REAL *all_weights,
                                   ptrdiff_t weights_step, ptrdiff_t run_step) {
    for (int r = 0; r < runs; r++) {
        const REAL *p[FC_NARROW_ROWS], *weights = all_weights + r * run_step;
        FC_UNROLL
        for (int i = 0; i < rows; i++) p[i] = pixel[i] + run_offset[r];
        for (int l = 0; l < length; l++) {
            VEC first = NAME(fc_load)(weights), second = first;
            if (vectors == 2) second = NAME(fc_load)(weights + LANES);
            weights += weights_step;
            FC_UNROLL
            for (int i = 0; i < rows; i++) {
                VEC value = NAME(fc_splat)(p[i][l]);
                sums[i][0] += first * value;
                if (vectors == 2) sums[i][1] += second * value;
            }
        }
    }
}

/* ---- convolution output: `rows` pixels by up to 2 vectors of channels ---- */

FC_INLINE void NAME(fc_conv_body)(const int rows, const int vectors, const REAL *const *pixel,
                                  REAL *const *out, const ptrdiff_t *run_offset, int runs,
                                  int length, const REAL *weights, ptrdiff_t weights_step,
                                  ptrdiff_t run_step, const REAL *start, int accumulate,
                                  int channels, float limit) {
    VEC sums[FC_NARROW_ROWS][2];
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        const REAL *from = accumulate ? out[i] : start;
        sums[i][0] = from ? NAME(fc_load)(from) : (VEC){0};
        if (vectors == 2) sums[i][1] = from ? NAME(fc_load)(from + LANES) : (VEC){0};
    }
    NAME(fc_accumulate)(rows, vectors, sums, pixel, run_offset, runs, length, weights,
                        weights_step, run_step);
    FC_UNROLL
    for (int i = 0; limit > 0 && i < rows; i++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++) sums[i][v] = NAME(fc_clip)(sums[i][v], limit);
    /* Apart from the rest, or the sums leave their registers for it. */
    if (channels >= vectors * LANES) {
        FC_UNROLL
        for (int i = 0; i < rows; i++)
            FC_UNROLL
            for (int v = 0; v < vectors; v++) NAME(fc_store)(out[i] + v * LANES, sums[i][v]);
        return;
    }
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            NAME(fc_store_some)(out[i] + v * LANES, sums[i][v], channels - v * LANES);
}

#define FC_CONV_CASE(n)                                                                        \
    case n:                                                                                    \
        if (vectors == 2)                                                                      \
            NAME(fc_conv_body)(n, 2, pixel, out, run_offset, runs, length, weights,            \
                               weights_step, run_step, start, accumulate, channels,       \
                               limit);                                                          \
        else                                                                                   \
            NAME(fc_conv_body)(n, 1, pixel, out, run_offset, runs, length, weights,            \
                               weights_step, run_step, start, accumulate, channels,       \
                               limit);                                                          \
        break;

#define FC_NARROW_CASE(n)                                                                      \
    case n:                                                                                    \
        NAME(fc_conv_body)(n, 1, pixel, out, run_offset, runs, length, weights, weights_step,  \
                           run_step, start, accumulate, channels, limit);                  \
        break;

/* Up to FC_ROWS pixels of two vectors or FC_NARROW_ROWS of one:
 * out[i][0:channels] = [clipped](start + sum over runs).  `start` is the bias (padded to whole
 * vectors) or NULL for zero; with accumulate the sums go on from what out holds. */
FC_LEAF void NAME(fc_conv_tile)(int rows, int vectors, const REAL *const *pixel,
                                REAL *const *out, const ptrdiff_t *run_offset, int runs,
                                int length, const REAL *weights, ptrdiff_t weights_step,
                                ptrdiff_t run_step, const REAL *start, int accumulate,
                                int channels, float limit) {
    switch (rows) {
        FC_CONV_CASE(1)
        FC_CONV_CASE(2)
        FC_CONV_CASE(3)
        FC_CONV_CASE(4)
        FC_CONV_CASE(5)
        FC_CONV_CASE(6)
#if FC_ROWS == 6
        FC_NARROW_CASE(7)
        FC_NARROW_CASE(8)
#else
        FC_CONV_CASE(7)
        FC_CONV_CASE(8)
        FC_CONV_CASE(9)
        FC_CONV_CASE(10)
        FC_CONV_CASE(11)
        FC_CONV_CASE(12)
#endif
    }
}
#undef FC_CONV_CASE
#undef FC_NARROW_CASE

#undef VEC
#undef VECU
#undef VECI
#undef LANES
