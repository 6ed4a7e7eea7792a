/* Register tile of the kernel gradient, which sums over pixels, and the packing of its operands.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- kernel gradient: `rows` values of the input patch by up to 2 vectors of channels ---- */

FC_INLINE void NAME(fc_gradient_body)(const int rows, const int vectors, const REAL *x,
                                      ptrdiff_t x_step, const REAL *dy,
                                      const ptrdiff_t *stretch, int stretches, REAL *sums_out,
                                      int accumulate) {
    /* With few sums every second or fourth pixel has its own: one set would wait for itself. */
    enum { MOST = 4 };
    const int sets = rows * vectors <= 2 ? 4 : rows * vectors <= 6 ? 2 : 1;
    const ptrdiff_t pitch = vectors * LANES;
    VEC sums[MOST][FC_ROWS][2];
    FC_UNROLL
    for (int s = 0; s < sets; s++)
        FC_UNROLL
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sums[s][i][v] = accumulate && !s
                                    ? NAME(fc_load)(sums_out + i * pitch + v * LANES)
                                    : (VEC){0};
    for (; stretches > 0; stretches--, stretch += 3) {
        const REAL *filters = dy + stretch[0] * pitch, *patch = x + stretch[2];
        const ptrdiff_t pixels = stretch[1];
        ptrdiff_t n = 0;
        for (; n + sets <= pixels; n += sets) {
            FC_UNROLL
            for (int s = 0; s < sets; s++) {
                VEC first = NAME(fc_load)(filters), second = first;
                if (vectors == 2) second = NAME(fc_load)(filters + LANES);
                filters += pitch;
                FC_UNROLL
                for (int i = 0; i < rows; i++) {
                    VEC value = NAME(fc_splat)(patch[i]);
                    sums[s][i][0] += first * value;
                    if (vectors == 2) sums[s][i][1] += second * value;
                }
                patch += x_step;
            }
        }
        for (; sets > 1 && n < pixels; n++) {
            for (int v = 0; v < vectors; v++)
                FC_UNROLL
                for (int i = 0; i < rows; i++)
                    sums[0][i][v] +=
                        NAME(fc_load)(filters + v * LANES) * NAME(fc_splat)(patch[i]);
            filters += pitch;
            patch += x_step;
        }
    }
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            VEC total = sums[0][i][v];
            FC_UNROLL
            for (int s = 1; s < sets; s++) total += sums[s][i][v];
            NAME(fc_store)(sums_out + i * pitch + v * LANES, total);
        }
}

#define FC_GRADIENT_CASE(n)                                                                    \
    case n:                                                                                    \
        if (vectors == 2)                                                                      \
            NAME(fc_gradient_body)(n, 2, x, x_step, dy, stretch, stretches, sums_out,          \
                                   accumulate);                                                \
        else                                                                                   \
            NAME(fc_gradient_body)(n, 1, x, x_step, dy, stretch, stretches, sums_out,          \
                                   accumulate);                                                \
        break;

/* sums_out[i][:] (+)= sum over pixels of x[pixel][i] * dy[pixel][:], the pixels being `stretches`
 * of neighbours: the first in dy, how many, and where the first one's values lie in x, whose pixels
 * are x_step values apart. */
FC_LEAF void NAME(fc_gradient_tile)(int rows, int vectors, const REAL *x, ptrdiff_t x_step,
                                    const REAL *dy, const ptrdiff_t *stretch, int stretches,
                                    REAL *sums_out, int accumulate) {
    switch (rows) {
        FC_GRADIENT_CASE(1)
        FC_GRADIENT_CASE(2)
        FC_GRADIENT_CASE(3)
        FC_GRADIENT_CASE(4)
        FC_GRADIENT_CASE(5)
        FC_GRADIENT_CASE(6)
#if FC_ROWS > 6
        FC_GRADIENT_CASE(7)
        FC_GRADIENT_CASE(8)
        FC_GRADIENT_CASE(9)
        FC_GRADIENT_CASE(10)
        FC_GRADIENT_CASE(11)
        FC_GRADIENT_CASE(12)
#endif
    }
}
#undef FC_GRADIENT_CASE

/* ---- the same with the patch as vectors: up to FC_FILTERS filters, broadcast ---- */

FC_INLINE void NAME(fc_patch_body)(const int filters, const int vectors, const REAL *x,
                                   const ptrdiff_t *offset, ptrdiff_t x_step, ptrdiff_t x_line,
                                   const REAL *dy, int lines, int pixels, REAL *out,
                                   int accumulate) {
    /* Eight sums keep two multipliers of a latency of four busy. */
    enum { MOST = 4 };
    const int sets = filters * vectors >= 7 ? 1 : filters * vectors >= 4 ? 2 : 4;
    VEC sums[MOST][FC_FILTERS][FC_PATCH_VECTORS];
    FC_UNROLL
    for (int s = 0; s < sets; s++)
        FC_UNROLL
        for (int i = 0; i < filters; i++)
            FC_UNROLL
            for (int v = 0; v < vectors; v++)
                sums[s][i][v] =
                    accumulate && !s ? NAME(fc_load)(out + (i * vectors + v) * LANES) : (VEC){0};
    for (int line = 0; line < lines; line++) {
        const REAL *p[FC_PATCH_VECTORS];
        ptrdiff_t at = 0;
        int n = 0;
        FC_UNROLL
        for (int v = 0; v < vectors; v++) p[v] = x + line * x_line + offset[v];
        for (; n < pixels; n += sets) {
            /* The last pixels one by one. */
            const int some = sets > 1 && n + sets > pixels;
            FC_UNROLL
            for (int s = 0; s < sets; s++) {
                if (some && n + s >= pixels) break;
                if (filters <= vectors) { /* what is fewer waits in registers */
                    VEC values[FC_FILTERS];
                    FC_UNROLL
                    for (int i = 0; i < filters; i++) values[i] = NAME(fc_splat)(dy[i]);
                    FC_UNROLL
                    for (int v = 0; v < vectors; v++) {
                        VEC patch = NAME(fc_load)(p[v] + at);
                        FC_HOLD(patch);
                        FC_UNROLL
                        for (int i = 0; i < filters; i++) sums[s][i][v] += patch * values[i];
                    }
                } else {
                    VEC patch[FC_PATCH_VECTORS];
                    FC_UNROLL
                    for (int v = 0; v < vectors; v++) {
                        patch[v] = NAME(fc_load)(p[v] + at);
                        FC_HOLD(patch[v]);
                    }
                    FC_UNROLL
                    for (int i = 0; i < filters; i++) {
                        VEC value = NAME(fc_splat)(dy[i]);
                        FC_UNROLL
                        for (int v = 0; v < vectors; v++) sums[s][i][v] += patch[v] * value;
                    }
                }
                at += x_step;
                dy += filters;
            }
        }
    }
    FC_UNROLL
    for (int i = 0; i < filters; i++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++) {
            VEC total = sums[0][i][v];
            FC_UNROLL
            for (int s = 1; s < sets; s++) total += sums[s][i][v];
            NAME(fc_store)(out + (i * vectors + v) * LANES, total);
        }
}

#define FC_PATCH_CASE(filters, vectors)                                                        \
    case 8 * filters + vectors:                                                                \
        NAME(fc_patch_body)(filters, vectors, x, offset, x_step, x_line, dy, lines, pixels,    \
                            out, accumulate);                                                  \
        break;

/* out[i][v] (+)= sum over lines and pixels of dy[line, pixel][i] * the vector of x that lies
 * offset[v] from the pixel's first value.  Pixels of x are x_step, lines x_line values apart;
 * dy's are one behind another.  At most FC_PATCH_SUMS vectors of sums. */
FC_LEAF void NAME(fc_patch_tile)(int filters, int vectors, const REAL *x,
                                 const ptrdiff_t *offset, ptrdiff_t x_step, ptrdiff_t x_line,
                                 const REAL *dy, int lines, int pixels, REAL *out,
                                 int accumulate) {
    switch (8 * filters + vectors) {
        FC_PATCH_CASE(1, 1)
        FC_PATCH_CASE(1, 2)
        FC_PATCH_CASE(1, 3)
        FC_PATCH_CASE(1, 4)
        FC_PATCH_CASE(1, 5)
        FC_PATCH_CASE(1, 6)
        FC_PATCH_CASE(2, 1)
        FC_PATCH_CASE(2, 2)
        FC_PATCH_CASE(2, 3)
        FC_PATCH_CASE(2, 4)
        FC_PATCH_CASE(2, 5)
        FC_PATCH_CASE(2, 6)
        FC_PATCH_CASE(3, 1)
        FC_PATCH_CASE(3, 2)
        FC_PATCH_CASE(3, 3)
        FC_PATCH_CASE(3, 4)
        FC_PATCH_CASE(4, 1)
        FC_PATCH_CASE(4, 2)
        FC_PATCH_CASE(4, 3)
#if FC_PATCH_SUMS > 12
        FC_PATCH_CASE(3, 5)
        FC_PATCH_CASE(3, 6)
        FC_PATCH_CASE(4, 4)
        FC_PATCH_CASE(4, 5)
        FC_PATCH_CASE(4, 6)
#endif
    }
}
#undef FC_PATCH_CASE

/* sums[0:count] += the pixels, each of `count` <= FC_FILTERS values. */
FC_LEAF void NAME(fc_add_filters)(const REAL *from, int count, int pixels, REAL *sums) {
    /* As many vectors hold whole pixels. */
    VEC total[FC_FILTERS] = {{0}};
    REAL lanes[FC_FILTERS * LANES];
    ptrdiff_t length = (ptrdiff_t)pixels * count, at = 0;
    for (; at + count * LANES <= length; at += count * LANES)
        for (int v = 0; v < count; v++) total[v] += NAME(fc_load)(from + at + v * LANES);
    for (int v = 0; v < count; v++) NAME(fc_store)(lanes + v * LANES, total[v]);
    for (int i = 0; i < count * LANES; i++) sums[i % count] += lanes[i];
    for (; at < length; at++) sums[at % count] += from[at];
}

/* ---- packing: `count` values of each of `pixels` pixels, rows of `pitch` values ---- */

#define FC_COPY_CASE(n)                                                                        \
    case n:                                                                                    \
        for (int i = 0; i < pixels; i++)                                                       \
            memcpy(to + (ptrdiff_t)i * pitch, from + i * step, n * sizeof(REAL));              \
        break;

/* Every usual count has a loop of its own: a copy of unknown length costs more than the values
 * it moves. */
FC_LEAF void NAME(fc_copy_pixels)(const REAL *from, ptrdiff_t step, int pixels, int count,
                                  REAL *to, int pitch) {
    switch (count) {
        FC_COPY_CASE(1)
        FC_COPY_CASE(2)
        FC_COPY_CASE(3)
        FC_COPY_CASE(4)
        FC_COPY_CASE(5)
        FC_COPY_CASE(6)
        FC_COPY_CASE(7)
        FC_COPY_CASE(8)
        FC_COPY_CASE(9)
        FC_COPY_CASE(10)
        FC_COPY_CASE(11)
        FC_COPY_CASE(12)
        FC_COPY_CASE(13)
        FC_COPY_CASE(14)
        FC_COPY_CASE(15)
        FC_COPY_CASE(16)
        FC_COPY_CASE(32)
        default:
            for (int i = 0; i < pixels; i++)
                for (int k = 0; k < count; k++) to[(ptrdiff_t)i * pitch + k] = from[i * step + k];
    }
}
#undef FC_COPY_CASE

FC_LEAF void NAME(fc_zero_pixels)(REAL *to, int pitch, int pixels, int count) {
    for (int i = 0; i < pixels; i++)
        for (int k = 0; k < count; k++) to[(ptrdiff_t)i * pitch + k] = 0;
}

/* sums[0:count] += the pixels, each of `vectors` vectors. */
FC_LEAF void NAME(fc_add_pixels)(const REAL *from, int vectors, int pixels, REAL *sums,
                                 int count) {
    VEC total[2] = {{0}, {0}};
    REAL lanes[2 * LANES];
    for (int i = 0; i < pixels; i++) {
        total[0] += NAME(fc_load)(from);
        if (vectors == 2) total[1] += NAME(fc_load)(from + LANES);
        from += vectors * LANES;
    }
    NAME(fc_store)(lanes, total[0]);
    NAME(fc_store)(lanes + LANES, total[1]);
    for (int k = 0; k < count; k++) sums[k] += lanes[k];
}

#undef VEC
#undef LANES
