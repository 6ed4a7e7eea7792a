/* Leaves of dense layers: sums over lists of the inputs that are not 0.
 *
 * Behind a ReLU or a dropout half to three quarters of the inputs are 0 and
 * add nothing to the outputs or to the kernel's gradient.  Both are sums of
 * rows times a factor, the rows taken from a panel of up to FC_PANEL_VECTORS
 * vectors that lies in L1: the sums stay in registers over a list of (row,
 * factor), one load a multiply-add, which is as fast as the multiply-adds.
 * Adding a product with 0 would change no bit, so that the result is the same
 * with any zeros left in the list.
 *
 * Included once per type by dense.h with REAL, BITS (an integer of its size) and NAME defined.
 */

#define VEC NAME(fc_v)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- lists, made without branches: which inputs live is as good as random ---- */

/* 1 unless x is 0 or -0; of its bits, since comparing floats takes a second test for NaN. */
FC_INLINE int NAME(fc_alive)(REAL x) {
    BITS bits;
    memcpy(&bits, &x, sizeof bits);
    return (BITS)(bits << 1) != 0;
}

/* Append the inputs of one sample from `first` on to a list of `count`; return its new length. */
FC_INLINE int NAME(fc_list_rest)(const REAL *x, int first, int length, int count,
                                 int32_t *restrict rows, REAL *restrict factors) {
    for (int i = first; i < length; i++) {
        rows[count] = i;
        factors[count] = x[i];
        count += NAME(fc_alive)(x[i]);
    }
    return count;
}

/* Which inputs are not 0 in some sample: 1, or 0 where nobody needs a row of W. */
FC_LEAF void NAME(fc_find_active)(const REAL *x, ptrdiff_t step, ptrdiff_t batch, int length,
                                  int32_t *restrict active) {
    memset(active, 0, (size_t)length * sizeof *active);
    for (ptrdiff_t sample = 0; sample < batch; sample++, x += step)
        for (int i = 0; i < length; i++) active[i] |= NAME(fc_alive)(x[i]);
}

/* Append one sample to the list of each input that is not 0 in it. */
FC_INLINE void NAME(fc_list_sample)(const REAL *x, int length, int sample, ptrdiff_t capacity,
                                    int32_t *restrict counts, int32_t *restrict samples,
                                    REAL *restrict factors) {
    for (int i = 0; i < length; i++) {
        ptrdiff_t at = i * capacity + counts[i];
        samples[at] = sample;
        factors[at] = x[i];
        counts[i] += NAME(fc_alive)(x[i]);
    }
}

/* Append all samples, of the first `whole` only the inputs from `first` on. */
FC_INLINE void NAME(fc_list_samples_rest)(const REAL *x, ptrdiff_t step, int whole, int first,
                                          int batch, int length, int32_t *counts,
                                          int32_t *samples, REAL *factors) {
    for (int sample = 0; sample < batch; sample++) {
        const int i = sample < whole ? first : 0;
        NAME(fc_list_sample)(x + sample * step + i, length - i, sample, batch, counts + i,
                             samples + (ptrdiff_t)i * batch, factors + (ptrdiff_t)i * batch);
    }
}

/* ---- panels: `vectors` wide stretches of a row, each in an array of its own ---- */

/* Copy a row of `width` values into one row of each panel, zeros behind its end. */
FC_LEAF void NAME(fc_pack_row)(const REAL *row, ptrdiff_t width, int vectors, REAL *restrict panel,
                               ptrdiff_t panel_step) {
    const ptrdiff_t across = vectors * LANES;
    for (; width >= across; width -= across, row += across, panel += panel_step) {
        int v = 0;
        for (; v + 4 <= vectors; v += 4)
            FC_UNROLL
            for (int u = v; u < v + 4; u++)
                NAME(fc_store)(panel + u * LANES, NAME(fc_load)(row + u * LANES));
        for (; v < vectors; v++) NAME(fc_store)(panel + v * LANES, NAME(fc_load)(row + v * LANES));
    }
    if (width > 0) {
        memset(panel, 0, (size_t)across * sizeof(REAL));
        memcpy(panel, row, (size_t)width * sizeof(REAL));
    }
}

/* sums[v] (+)= factors[i] * panel[rows[i]][v] over the list, each entry's address and factor loaded
 * before the values of the one before it, which keeps the loads back to back. */
FC_INLINE void NAME(fc_sum_rows_body)(const int vectors, const REAL *panel, const int32_t *rows,
                                      const REAL *factors, int count, REAL *sums, int accumulate) {
    VEC total[FC_PANEL_VECTORS];
    FC_UNROLL
    for (int v = 0; v < vectors; v++)
        total[v] = accumulate ? NAME(fc_load)(sums + v * LANES) : (VEC){0};
    if (count > 0) {
        const REAL *row = panel + (ptrdiff_t)rows[0] * (vectors * LANES);
        VEC factor = NAME(fc_splat)(factors[0]);
        for (int i = 1; i < count; i++) {
            const REAL *next = panel + (ptrdiff_t)rows[i] * (vectors * LANES);
            VEC next_factor = NAME(fc_splat)(factors[i]);
            FC_UNROLL
            for (int v = 0; v < vectors; v++)
                total[v] += factor * NAME(fc_load)(row + v * LANES);
            row = next;
            factor = next_factor;
        }
        FC_UNROLL
        for (int v = 0; v < vectors; v++) total[v] += factor * NAME(fc_load)(row + v * LANES);
    }
    FC_UNROLL
    for (int v = 0; v < vectors; v++) NAME(fc_store)(sums + v * LANES, total[v]);
}

#define FC_SUM_CASE(n)                                                                         \
    case n:                                                                                    \
        NAME(fc_sum_rows_body)(n, panel, rows, factors, count, sums, accumulate);              \
        break;

FC_LEAF void NAME(fc_sum_rows)(int vectors, const REAL *panel, const int32_t *rows,
                               const REAL *factors, int count, REAL *sums, int accumulate) {
    switch (vectors) {
        FC_SUM_CASE(1)
        FC_SUM_CASE(2)
        FC_SUM_CASE(3)
        FC_SUM_CASE(4)
        FC_SUM_CASE(5)
        FC_SUM_CASE(6)
        FC_SUM_CASE(7)
        FC_SUM_CASE(8)
        FC_SUM_CASE(9)
        FC_SUM_CASE(10)
        FC_SUM_CASE(11)
        FC_SUM_CASE(12)
    }
}
#undef FC_SUM_CASE

/* ---- one sample: rows of W pass by once, the sums stay in L1 ---- */

/* sums[0:width] += factors[0] * row[0] + ... for up to four rows, in this order.  `soon` are the
 * rows after them: from list to list they follow no stride that the CPU would guess. */
FC_INLINE void NAME(fc_pass_body)(const int rows, const REAL *const *row, const REAL *const *soon,
                                  const REAL *factors, ptrdiff_t width, REAL *restrict sums) {
    enum { LINE = 64 / sizeof(REAL) };
    ptrdiff_t o = 0;
    for (; o + LINE <= width; o += LINE) {
        FC_UNROLL
        for (int r = 0; r < rows; r++) __builtin_prefetch(soon[r] + o);
        FC_UNROLL
        for (int at = 0; at < LINE; at += LANES) {
            VEC total = NAME(fc_load)(sums + o + at);
            FC_UNROLL
            for (int r = 0; r < rows; r++)
                total += NAME(fc_splat)(factors[r]) * NAME(fc_load)(row[r] + o + at);
            NAME(fc_store)(sums + o + at, total);
        }
    }
    if (o < width) { /* the same sums on a padded line */
        const size_t rest = (size_t)(width - o) * sizeof(REAL);
        REAL totals[LINE] = {0}, last[LINE] = {0};
        memcpy(totals, sums + o, rest);
        for (int r = 0; r < rows; r++) {
            memcpy(last, row[r] + o, rest);
            for (int at = 0; at < LINE; at += LANES)
                NAME(fc_store)(totals + at, NAME(fc_load)(totals + at) +
                                                NAME(fc_splat)(factors[r]) *
                                                    NAME(fc_load)(last + at));
        }
        memcpy(sums + o, totals, rest);
    }
}

/* sums[0:width] += x[i] * W[i] over the inputs of one sample that are not 0. */
FC_LEAF void NAME(fc_pass_rows)(const REAL *weights, ptrdiff_t step, const int32_t *list,
                                const REAL *factors, int count, ptrdiff_t width, REAL *sums) {
    const REAL *row[4], *soon[4];
    for (int i = 0; i < count; i += 4) {
        const int rows = count - i < 4 ? count - i : 4;
        for (int r = 0; r < rows; r++) {
            row[r] = weights + list[i + r] * step;
            soon[r] = weights + list[i + r + 4 < count ? i + r + 4 : count - 1] * step;
        }
        if (rows == 4)
            NAME(fc_pass_body)(4, row, soon, factors + i, width, sums);
        else
            for (int r = 0; r < rows; r++)
                NAME(fc_pass_body)(1, row + r, soon + r, factors + i + r, width, sums);
    }
}

/* ---- input gradient: the dots of one row of W with the samples of a list ---- */

FC_INLINE void NAME(fc_dot_list_body)(const int rows, const REAL *weights, const REAL *dy,
                                      ptrdiff_t dy_step, const int32_t *samples,
                                      ptrdiff_t length, REAL *out, ptrdiff_t out_step) {
    VEC sums[FC_LIST_DOTS];
    const REAL *left[FC_LIST_DOTS];
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        sums[i] = (VEC){0};
        left[i] = dy + samples[i] * dy_step;
    }
    ptrdiff_t l = 0;
    for (; l + LANES <= length; l += LANES) {
        VEC right = NAME(fc_load)(weights + l);
        FC_UNROLL
        for (int i = 0; i < rows; i++) sums[i] += NAME(fc_load)(left[i] + l) * right;
    }
    REAL totals[(FC_LIST_DOTS + 3) / 4 * 4];
    FC_UNROLL
    for (int i = 0; i < rows; i += 4) {
        VEC v[4];
        FC_UNROLL
        for (int k = 0; k < 4; k++) v[k] = i + k < rows ? sums[i + k] : (VEC){0};
        NAME(fc_sum_four)(v[0], v[1], v[2], v[3], totals + i);
    }
    for (int i = 0; i < rows; i++) {
        for (ptrdiff_t rest = l; rest < length; rest++) totals[i] += left[i][rest] * weights[rest];
        out[samples[i] * out_step] = totals[i];
    }
}

#define FC_DOT_CASE(n)                                                                         \
    case n:                                                                                    \
        NAME(fc_dot_list_body)(n, weights, dy, dy_step, samples, length, out, out_step);       \
        break;

/* out[s] = dy[s] . weights for the samples s of a list; each is the sum that fc_dot_tile gives. */
FC_LEAF void NAME(fc_dot_list)(int count, const REAL *weights, const REAL *dy, ptrdiff_t dy_step,
                               const int32_t *samples, ptrdiff_t length, REAL *out,
                               ptrdiff_t out_step) {
    for (int groups = (count + FC_LIST_DOTS - 1) / FC_LIST_DOTS; groups > 0; groups--) {
        const int rows = (count + groups - 1) / groups;
        switch (rows) {
            FC_DOT_CASE(1)
            FC_DOT_CASE(2)
            FC_DOT_CASE(3)
            FC_DOT_CASE(4)
            FC_DOT_CASE(5)
            FC_DOT_CASE(6)
            FC_DOT_CASE(7)
            FC_DOT_CASE(8)
            FC_DOT_CASE(9)
            FC_DOT_CASE(10)
        }
        samples += rows;
        count -= rows;
    }
}
#undef FC_DOT_CASE

#undef VEC
#undef LANES
