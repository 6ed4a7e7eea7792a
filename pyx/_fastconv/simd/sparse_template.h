/* Leaves of the backward pass through ReLU + 2x2 max pooling.
 *
 * Only the pixel that won its window and is alive has a gradient, so both
 * gradients are sums over a short list of entries.  An entry adds g times a
 * stretch of contiguous values (kernel columns x channels of x, or of the
 * kernel) to sums that stay in registers over the whole list.
 *
 * Included once per type by sparse.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECU NAME(fc_u)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- lists, made without branches: which entries live is as good as random ---- */

/* One pooled pixel: append (origin + shift of the winner, dy) to each living filter's list, and
 * add the living to their filters' totals. */
FC_LEAF void NAME(fc_list_filters)(const REAL *dy, const uint8_t *winners, int filters,
                                   int32_t origin, const int32_t *shift, int capacity,
                                   int32_t *restrict offsets, REAL *restrict gradients,
                                   int32_t *restrict counts, REAL *restrict totals) {
    for (int k = 0; k < filters; k++) totals[k] += winners[k] < 4 ? dy[k] : 0;
    for (int k = 0; k < filters; k++) {
        int at = k * capacity + counts[k];
        offsets[at] = origin + shift[winners[k]];
        gradients[at] = dy[k];
        counts[k] += (winners[k] < 4) & (dy[k] != 0);
    }
}

/* One pooled pixel: deal its filters to five lists by window position, the dead to the last. */
FC_LEAF void NAME(fc_list_positions)(const REAL *dy, const uint8_t *winners, int filters,
                                     int capacity, int32_t *restrict list,
                                     REAL *restrict gradients, int32_t *restrict counts) {
    int32_t count[5] = {0};
    for (int k = 0; k < filters; k++) {
        int to = dy[k] != 0 ? winners[k] : 4;
        int at = to * capacity + count[to]++;
        list[at] = k;
        gradients[at] = dy[k];
    }
    memcpy(counts, count, sizeof count);
}

/* ---- kernel gradient: sums[r][v] += g[i] * x[offset[i] + line r + vector v] ---- */

FC_INLINE void NAME(fc_collect_body)(const int lines, const int vectors, const REAL *x,
                                     ptrdiff_t x_line, const int32_t *offset, const REAL *g,
                                     int count, REAL *sums, ptrdiff_t sums_line) {
    VEC total[3][12];
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            total[r][v] = *(const VECU *)(sums + r * sums_line + v * LANES);
    for (int i = 0; i < count; i++) {
        const REAL *p = x + offset[i];
        VEC factor = g[i] - (VEC){0};
        FC_UNROLL
        for (int r = 0; r < lines; r++)
            FC_UNROLL
            for (int v = 0; v < vectors; v++)
                total[r][v] += factor * *(const VECU *)(p + r * x_line + v * LANES);
    }
    FC_UNROLL
    for (int r = 0; r < lines; r++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            *(VECU *)(sums + r * sums_line + v * LANES) = total[r][v];
}

#define FC_COLLECT_CASE(lines, n)                                                              \
    case n:                                                                                    \
        NAME(fc_collect_body)(lines, n, x, x_line, offset, g, count, sums, sums_line);         \
        break;

/* One line of up to FC_SLAB_VECTORS vectors, or three lines of up to FC_SPARSE_VECTORS. */
FC_LEAF void NAME(fc_collect)(int lines, int vectors, const REAL *x, ptrdiff_t x_line,
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

/* ---- input gradient: dx[v] += sum of g[i] * weights[filter[i]][v] ---- */

FC_INLINE void NAME(fc_spread_body)(const int vectors, const REAL *weights,
                                    const int32_t *filter, const REAL *g, int count, REAL *dx) {
    VEC total[12];
    FC_UNROLL
    for (int v = 0; v < vectors; v++) total[v] = *(const VECU *)(dx + v * LANES);
    for (int i = 0; i < count; i++) {
        const REAL *w = weights + (ptrdiff_t)filter[i] * (vectors * LANES);
        VEC factor = g[i] - (VEC){0};
        FC_UNROLL
        for (int v = 0; v < vectors; v++) total[v] += factor * *(const VECU *)(w + v * LANES);
    }
    FC_UNROLL
    for (int v = 0; v < vectors; v++) *(VECU *)(dx + v * LANES) = total[v];
}

#define FC_SPREAD_CASE(n)                                                                      \
    case n:                                                                                    \
        NAME(fc_spread_body)(n, weights, filter, g, count, dx);                                \
        break;

FC_LEAF void NAME(fc_spread)(int vectors, const REAL *weights, const int32_t *filter,
                             const REAL *g, int count, REAL *dx) {
    switch (vectors) {
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
    }
}
#undef FC_SPREAD_CASE

#undef VEC
#undef VECU
#undef LANES
