/* Leaves of the backward pass through ReLU + 2x2 max pooling.
 *
 * Only the pixel that won its window and is active has a gradient, so both
 * gradients are sums over few entries.  An entry adds g times a stretch of
 * contiguous values (kernel columns x channels of x, or of the kernel) to sums
 * that stay in registers over all entries of one filter, or of one window position.
 *
 * Included once per type by sparse.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECU NAME(fc_u)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- lists for the kernel gradient ---- */

/* Append the active of up to 64 window positions to the lists of up to 64 filters: the offset of
 * the maximum's patch, and dy.  Which entries live is as good as random, so there is no branch per
 * entry: masks over the filters, made window by window, are transposed to masks over the
 * windows, and each filter walks its set bits. */
FC_LEAF void NAME(fc_list_bits)(const REAL *dy, const uint8_t *argmax, ptrdiff_t pixel,
                                int positions, int filters, const int32_t *origin,
                                const int32_t *shift, int capacity, int32_t *restrict offsets,
                                REAL *restrict gradients, int32_t *restrict counts,
                                REAL *restrict totals) {
    uint64_t active[64] = {0};
    for (int p = 0; p < positions; p++) {
        uint64_t masks[4];
        NAME(fc_window_masks)(dy + p * pixel, argmax + p * pixel, filters, masks);
        active[p] = masks[0] | masks[1] | masks[2] | masks[3];
    }
    fc_transpose_bits(active);
    for (int k = 0; k < filters; k++) {
        int32_t *offset = offsets + (ptrdiff_t)k * capacity + counts[k];
        REAL *gradient = gradients + (ptrdiff_t)k * capacity + counts[k];
        REAL total = totals[k];
        counts[k] += __builtin_popcountll(active[k]);
        for (uint64_t bits = active[k]; bits; bits &= bits - 1) {
            int p = __builtin_ctzll(bits);
            REAL g = dy[p * pixel + k];
            *offset++ = origin[p] + shift[argmax[p * pixel + k]];
            *gradient++ = g;
            total += g;
        }
        totals[k] = total;
    }
}

/* ---- kernel gradient: sums[r][v] += g[i] * x[offset[i] + line r + vector v] ---- */

FC_INLINE void NAME(fc_add_patch)(const int lines, const int vectors, const REAL *patch,
                                  ptrdiff_t x_line, VEC factor, VEC (*total)[12]) {
    FC_UNROLL
    for (int r = 0; r < lines; r++) {
        FC_HOLD_POINTER(patch);
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            total[r][v] += factor * *(const VECU *)(patch + v * LANES);
        patch += x_line;
    }
}

/* With few sums two entries are added side by side: one alone would wait for its own additions.
 * With many the next entry's address and factor are loaded before this one's values, which keeps
 * the loads back to back; behind the last entry there is room to read, nothing is made of it. */
FC_INLINE void NAME(fc_gather_body)(const int lines, const int vectors, const REAL *x,
                                     ptrdiff_t x_line, const int32_t *offset, const REAL *g,
                                     int count, REAL *sums, ptrdiff_t sums_line) {
    const int pair = lines * vectors <= FC_BLOCK_VECTORS / 2;
    VEC total[3][12], other[3][12];
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++) {
            total[r][v] = *(const VECU *)(sums + r * sums_line + v * LANES);
            other[r][v] = (VEC){0};
        }
    int i = 0;
    if (pair)
        for (; i + 1 < count; i += 2) {
            NAME(fc_add_patch)(lines, vectors, x + offset[i], x_line, g[i] - (VEC){0}, total);
            NAME(fc_add_patch)(lines, vectors, x + offset[i + 1], x_line, g[i + 1] - (VEC){0},
                               other);
        }
    if (i < count) {
        const REAL *patch = x + offset[i];
        VEC factor = g[i] - (VEC){0};
        for (; i < count; i++) {
            const REAL *next = x + offset[i + 1];
            VEC next_factor = g[i + 1] - (VEC){0};
            NAME(fc_add_patch)(lines, vectors, patch, x_line, factor, total);
            patch = next;
            factor = next_factor;
        }
    }
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            *(VECU *)(sums + r * sums_line + v * LANES) =
                pair ? total[r][v] + other[r][v] : total[r][v];
}

#define FC_COLLECT_CASE(lines, n)                                                              \
    case n:                                                                                    \
        NAME(fc_gather_body)(lines, n, x, x_line, offset, g, count, sums, sums_line);         \
        break;

/* One line of up to FC_BLOCK_VECTORS vectors, or three lines of up to FC_SPARSE_VECTORS. */
FC_LEAF void NAME(fc_gather)(int lines, int vectors, const REAL *x, ptrdiff_t x_line,
                              const int32_t *offset, const REAL *g, int count, REAL *sums,
                              ptrdiff_t sums_line) {
    if (lines == 3) {
        switch (vectors) {
            FC_COLLECT_CASE(3, 1)
            FC_COLLECT_CASE(3, 2)
            FC_COLLECT_CASE(3, 3)
            FC_COLLECT_CASE(3, 4)
#if FC_SPARSE_VECTORS > 4
            FC_COLLECT_CASE(3, 5)
            FC_COLLECT_CASE(3, 6)
#endif
        }
        return;
    }
    switch (vectors) {
        FC_COLLECT_CASE(1, 1)
        FC_COLLECT_CASE(1, 2)
        FC_COLLECT_CASE(1, 3)
        FC_COLLECT_CASE(1, 4)
        FC_COLLECT_CASE(1, 5)
        FC_COLLECT_CASE(1, 6)
        FC_COLLECT_CASE(1, 7)
        FC_COLLECT_CASE(1, 8)
        FC_COLLECT_CASE(1, 9)
        FC_COLLECT_CASE(1, 10)
        FC_COLLECT_CASE(1, 11)
        FC_COLLECT_CASE(1, 12)
    }
}
#undef FC_COLLECT_CASE

/* ---- input gradient: dx[v] += sum over active k of g[k] * weights[k][v] ---- */

/* The active of one row of windows, as four masks over up to 64 filters for each. */
FC_LEAF void NAME(fc_mask_row)(const REAL *dy, const uint8_t *argmax, ptrdiff_t pixel,
                               int columns, int filters, uint64_t *masks) {
    for (int column = 0; column < columns; column++)
        NAME(fc_window_masks)(dy + column * pixel, argmax + column * pixel, filters,
                              masks + 4 * column);
}

/* Positions 0 and 1 of each window of a row, whose stretches of dx lie `right` apart. */
FC_INLINE void NAME(fc_scatter_add_body)(const int vectors, const REAL *weights, ptrdiff_t step,
                                    const uint64_t *masks, const REAL *g, ptrdiff_t pixel,
                                    int columns, REAL *dx, ptrdiff_t right) {
    for (int column = 0; column < columns; column++) {
        for (int position = 0; position < 2; position++) {
            uint64_t bits = masks[4 * column + position];
            if (!bits) continue;
            REAL *target = dx + (2 * column + position) * right;
            VEC total[12];
            FC_UNROLL
            for (int v = 0; v < vectors; v++) total[v] = *(const VECU *)(target + v * LANES);
            do {
                ptrdiff_t k = __builtin_ctzll(bits);
                const REAL *w = weights + k * step;
                VEC factor = g[k] - (VEC){0};
                FC_HOLD_POINTER(w);
                bits &= bits - 1;
                FC_UNROLL
                for (int v = 0; v < vectors; v++)
                    total[v] += factor * *(const VECU *)(w + v * LANES);
            } while (bits);
            FC_UNROLL
            for (int v = 0; v < vectors; v++) *(VECU *)(target + v * LANES) = total[v];
        }
        g += pixel;
    }
}

/* The same for stretches of `taps` pixels that overlap but for one: the taps + 1 pixels of both
 * positions stay in registers, two leave and two come in per window.  Stored and loaded again
 * each time, a sum would wait for its own store. */
FC_INLINE void NAME(fc_roll_body)(const int lines, const int taps, const int vectors,
                                  const REAL *weights, ptrdiff_t step, const uint64_t *masks,
                                  const REAL *g, ptrdiff_t pixel, int columns, REAL *dx,
                                  ptrdiff_t right, ptrdiff_t dx_line) {
    VEC total[3][16];
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int i = 0; i < (taps - 1) * vectors; i++)
            total[r][i] = *(const VECU *)(dx + r * dx_line + i / vectors * right +
                                          i % vectors * LANES);
    for (int column = 0; column < columns; column++) {
        FC_UNROLL
        for (int r = 0; r < lines; r++)
            FC_UNROLL
            for (int i = (taps - 1) * vectors; i < (taps + 1) * vectors; i++)
                total[r][i] = *(const VECU *)(dx + r * dx_line + i / vectors * right +
                                              i % vectors * LANES);
        FC_UNROLL
        for (int position = 0; position < 2; position++)
            for (uint64_t bits = masks[position]; bits; bits &= bits - 1) {
                ptrdiff_t k = __builtin_ctzll(bits);
                const REAL *w = weights + k * step;
                VEC factor = g[k] - (VEC){0};
                FC_HOLD_POINTER(w);
                FC_UNROLL
                for (int r = 0; r < lines; r++)
                    FC_UNROLL
                    for (int i = 0; i < taps * vectors; i++)
                        total[r][position * vectors + i] +=
                            factor * *(const VECU *)(w + (r * taps * vectors + i) * LANES);
            }
        FC_UNROLL
        for (int r = 0; r < lines; r++) {
            FC_UNROLL
            for (int i = 0; i < 2 * vectors; i++)
                *(VECU *)(dx + r * dx_line + i / vectors * right + i % vectors * LANES) =
                    total[r][i];
            FC_UNROLL
            for (int i = 0; i < (taps - 1) * vectors; i++)
                total[r][i] = total[r][i + 2 * vectors];
        }
        dx += 2 * right;
        g += pixel;
        masks += 4;
    }
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int i = 0; i < (taps - 1) * vectors; i++)
            *(VECU *)(dx + r * dx_line + i / vectors * right + i % vectors * LANES) = total[r][i];
}

#define FC_SHAPE(lines, taps, vectors) ((lines) * 256 + (taps) * 16 + (vectors))
#define FC_SPREAD_CASE(n)                                                                      \
    case FC_SHAPE(1, 1, n):                                                                    \
        NAME(fc_scatter_add_body)(n, weights, step, masks, g, pixel, columns, dx, right);      \
        break;
#define FC_ROLL_CASE(lines, taps, n)                                                           \
    case FC_SHAPE(lines, taps, n):                                                             \
        NAME(fc_roll_body)(lines, taps, n, weights, step, masks, g, pixel, columns, dx, right, \
                           dx_line);                                                           \
        break;

/* One block of weights, `step` values a filter, over one row of pixels of a row of windows. */
FC_LEAF void NAME(fc_scatter_add_row)(int lines, int taps, int vectors, const REAL *weights,
                                 ptrdiff_t step, const uint64_t *masks, const REAL *g,
                                 ptrdiff_t pixel, int columns, REAL *dx, ptrdiff_t right,
                                 ptrdiff_t dx_line) {
    switch (FC_SHAPE(lines, taps, vectors)) {
        FC_SPREAD_CASE(1)
        FC_SPREAD_CASE(2)
        FC_SPREAD_CASE(3)
        FC_SPREAD_CASE(4)
        FC_SPREAD_CASE(5)
        FC_SPREAD_CASE(6)
        FC_SPREAD_CASE(7)
        FC_SPREAD_CASE(8)
        FC_SPREAD_CASE(9)
        FC_SPREAD_CASE(10)
        FC_SPREAD_CASE(11)
        FC_SPREAD_CASE(12)
        FC_ROLL_CASE(1, 3, 1)
        FC_ROLL_CASE(1, 3, 2)
        FC_ROLL_CASE(1, 3, 3)
        FC_ROLL_CASE(1, 5, 1)
        FC_ROLL_CASE(1, 5, 2)
        FC_ROLL_CASE(3, 3, 1)
#if FC_ROLL_VECTORS >= 24
        FC_ROLL_CASE(1, 3, 4)
        FC_ROLL_CASE(3, 3, 2)
#endif
    }
}
#undef FC_ROLL_CASE
#undef FC_SPREAD_CASE
#undef FC_SHAPE

#undef VEC
#undef VECU
#undef LANES
