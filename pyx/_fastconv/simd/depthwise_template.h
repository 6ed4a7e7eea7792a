/* Convolution with vectors along the channels, where each output channel reads one input value
 * per tap: depthwise layers, and grouped ones once their input lies in planes.
 *
 * Included once per type by depthwise.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECI NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- output: FC_NARROW_ROWS pixels by one vector of channels, taps in the outer loops ---- */

/* sums[i] += weights[t] * x[i * x_step + t * tap_step] for `taps` neighbouring taps.  Where x_step
 * is `ratio` times tap_step, each vector of x is loaded once for all the outputs that read it:
 * loads, most of which cross a cache line, would otherwise take longer than the sums. */
FC_INLINE void NAME(fc_depthwise_taps)(const int pixels, const int taps, const int ratio,
                                       const REAL *x, ptrdiff_t x_step, ptrdiff_t tap_step,
                                       const REAL *weights, const ptrdiff_t *place,
                                       VEC sums[FC_NARROW_ROWS]) {
    VEC w[3];
    FC_UNROLL
    for (int t = 0; t < taps; t++) w[t] = NAME(fc_load)(weights + place[t]);
    if (taps == 1) {
        FC_UNROLL
        for (int i = 0; i < pixels; i++) sums[i] += w[0] * NAME(fc_load)(x + i * x_step);
        return;
    }
    FC_UNROLL
    for (int j = 0; j < ratio * (pixels - 1) + taps; j++) {
        VEC value = NAME(fc_load)(x + j * tap_step);
        FC_HOLD(value);
        FC_UNROLL
        for (int t = 0; t < taps; t++) {
            const int from = j - t;
            if (from >= 0 && from % ratio == 0 && from / ratio < pixels)
                sums[from / ratio] += w[t] * value;
        }
    }
}

FC_INLINE void NAME(fc_depthwise_tile)(const int pixels, const int ratio, const REAL *x,
                                       ptrdiff_t x_step, ptrdiff_t tap_step, const fc_taps *taps,
                                       const REAL *weights, const REAL *bias, REAL *out,
                                       ptrdiff_t out_step, float limit) {
    VEC sums[FC_NARROW_ROWS];
    const int end = taps->column_end;
    FC_UNROLL
    for (int i = 0; i < pixels; i++) sums[i] = NAME(fc_load)(bias);
#define FC_DEPTHWISE_TAPS(n)                                                                \
    NAME(fc_depthwise_taps)(pixels, n, ratio, line + taps->column_offset[column], x_step,   \
                            tap_step, line_weights, taps->column_place + column, sums)
    for (int row = taps->row_begin; row < taps->row_end; row++) {
        const REAL *line = x + taps->row_offset[row];
        const REAL *line_weights = weights + taps->row_place[row];
        int column = taps->column_begin;
        if (ratio) {
            for (; end - column == 3 || end - column > 4; column += 3) FC_DEPTHWISE_TAPS(3);
            for (; end - column >= 2; column += 2) FC_DEPTHWISE_TAPS(2);
        }
        for (; column < end; column++) FC_DEPTHWISE_TAPS(1);
    }
#undef FC_DEPTHWISE_TAPS
    FC_UNROLL
    for (int i = 0; i < pixels; i++)
        NAME(fc_store)(out + i * out_step, limit > 0 ? NAME(fc_clip)(sums[i], limit) : sums[i]);
}

/* All channels (one vector at least) of a few pixels; a last vector overlaps the one before. */
FC_INLINE void NAME(fc_depthwise_channels)(const int pixels, const int ratio, const REAL *x,
                                           ptrdiff_t x_step, ptrdiff_t tap_step,
                                           const fc_taps *taps, const REAL *weights,
                                           const REAL *bias, REAL *out, ptrdiff_t out_step,
                                           int channels, float limit) {
    for (int c = 0; c < channels; c += LANES) {
        int at = c + LANES <= channels ? c : channels - LANES;
        NAME(fc_depthwise_tile)(pixels, ratio, x + at, x_step, tap_step, taps, weights + at,
                                bias + at, out + at, out_step, limit);
    }
}

/* One pixel by itself, as in the corner of an image: some vectors of channels at once, for the sums
 * of one would wait for each other.  The last lies `last` channels behind the first. */
FC_INLINE void NAME(fc_depthwise_vectors)(const int vectors, const int last, const REAL *x,
                                          const fc_taps *taps, const REAL *weights,
                                          const REAL *bias, REAL *out, float limit) {
    VEC sums[FC_PIXEL_VECTORS];
#define FC_AT(v) ((v) == vectors - 1 ? last : (v)*LANES)
    FC_UNROLL
    for (int v = 0; v < vectors; v++) sums[v] = NAME(fc_load)(bias + FC_AT(v));
    for (int row = taps->row_begin; row < taps->row_end; row++) {
        const REAL *line = x + taps->row_offset[row];
        const REAL *line_weights = weights + taps->row_place[row];
        for (int column = taps->column_begin; column < taps->column_end; column++) {
            const REAL *p = line + taps->column_offset[column];
            const REAL *w = line_weights + taps->column_place[column];
            FC_HOLD_POINTER(p);
            FC_HOLD_POINTER(w);
            FC_UNROLL
            for (int v = 0; v < vectors; v++)
                sums[v] += NAME(fc_load)(w + FC_AT(v)) * NAME(fc_load)(p + FC_AT(v));
        }
    }
    FC_UNROLL
    for (int v = 0; v < vectors; v++)
        NAME(fc_store)(out + FC_AT(v), limit > 0 ? NAME(fc_clip)(sums[v], limit) : sums[v]);
#undef FC_AT
}

#define FC_VECTORS_CASE(n)                                                                     \
    case n:                                                                                    \
        NAME(fc_depthwise_vectors)(n, last, x + c, taps, weights + c, bias + c, out + c, limit); \
        break;

FC_INLINE void NAME(fc_depthwise_pixel)(const REAL *x, const fc_taps *taps, const REAL *weights,
                                        const REAL *bias, REAL *out, int channels, float limit) {
    int left = (channels + LANES - 1) / LANES, c = 0;
    for (int pieces = (left + FC_PIXEL_VECTORS - 1) / FC_PIXEL_VECTORS; pieces > 0; pieces--) {
        /* Of almost equal size: a last one of a single vector would take as long. */
        const int vectors = (left + pieces - 1) / pieces;
        const int last = pieces > 1 ? (vectors - 1) * LANES : channels - LANES - c;
        switch (vectors) {
            FC_VECTORS_CASE(1)
            FC_VECTORS_CASE(2)
            FC_VECTORS_CASE(3)
            FC_VECTORS_CASE(4)
            FC_VECTORS_CASE(5)
            FC_VECTORS_CASE(6)
        }
        left -= vectors;
        c += vectors * LANES;
    }
}
#undef FC_VECTORS_CASE

#define FC_CHANNELS_CASE(n)                                                                    \
    case n:                                                                                    \
        NAME(fc_depthwise_channels)(n, ratio, x, x_step, tap_step, taps, weights, bias, out,   \
                                    out_step, channels, limit);                                 \
        break;

FC_INLINE void NAME(fc_depthwise_cases)(const int ratio, int pixels, const REAL *x,
                                        ptrdiff_t x_step, ptrdiff_t tap_step,
                                        const fc_taps *taps, const REAL *weights,
                                        const REAL *bias, REAL *out, ptrdiff_t out_step,
                                        int channels, float limit) {
    switch (pixels) {
        case 1:
            NAME(fc_depthwise_pixel)(x, taps, weights, bias, out, channels, limit);
            break;
        FC_CHANNELS_CASE(2)
        FC_CHANNELS_CASE(3)
        FC_CHANNELS_CASE(4)
        FC_CHANNELS_CASE(5)
        FC_CHANNELS_CASE(6)
        FC_CHANNELS_CASE(7)
        FC_CHANNELS_CASE(8)
#if FC_NARROW_ROWS > 8
        FC_CHANNELS_CASE(9)
        FC_CHANNELS_CASE(10)
        FC_CHANNELS_CASE(11)
        FC_CHANNELS_CASE(12)
#endif
    }
}
#undef FC_CHANNELS_CASE

FC_INLINE void NAME(fc_depthwise_ratios)(int pixels, const REAL *x, ptrdiff_t x_step,
                                         ptrdiff_t tap_step, const fc_taps *taps,
                                         const REAL *weights, const REAL *bias, REAL *out,
                                         ptrdiff_t out_step, int channels, float limit) {
    if (tap_step == 0)
        NAME(fc_depthwise_cases)(0, pixels, x, x_step, 0, taps, weights, bias, out, out_step,
                                 channels, limit);
    else if (x_step == tap_step)
        NAME(fc_depthwise_cases)(1, pixels, x, x_step, tap_step, taps, weights, bias, out,
                                 out_step, channels, limit);
    else
        NAME(fc_depthwise_cases)(2, pixels, x, x_step, tap_step, taps, weights, bias, out,
                                 out_step, channels, limit);
}

/* out[pixel, c] = [clipped](bias[c] + sum over taps of x[pixel + tap, c] * weights[tap, c]), for up
 * to FC_NARROW_ROWS pixels.  `tap_step` values lie between two taps of a row if x_step is as many
 * or twice as many; else it is 0.  Fewer channels than a vector are read as one. */
FC_LEAF void NAME(fc_depthwise)(int pixels, const REAL *x, ptrdiff_t x_step, ptrdiff_t tap_step,
                                const fc_taps *taps, const REAL *weights, const REAL *bias,
                                REAL *out, ptrdiff_t out_step, int channels, float limit) {
    REAL lanes[FC_NARROW_ROWS * LANES];
    const int whole = channels >= LANES;
    NAME(fc_depthwise_ratios)(pixels, x, x_step, tap_step, taps, weights, bias,
                              whole ? out : lanes, whole ? out_step : LANES,
                              whole ? channels : LANES, limit);
    for (int i = 0; !whole && i < pixels; i++)
        NAME(fc_store_some)(out + i * out_step, NAME(fc_load)(lanes + i * LANES), channels);
}

/* Ask for the channels of some pixels: L2 fetches while the sums compute. */
FC_LEAF void NAME(fc_prefetch_pixels)(const REAL *x, ptrdiff_t step, int pixels, int channels) {
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < channels; c += 128 / sizeof(REAL))
            __builtin_prefetch(x + i * step + c, 0, 2);
    __asm__ volatile(""); /* or GCC drops every call of what has no effect */
}

/* ---- kernel gradient: one vector of channels by up to FC_TAPS taps ---- */

FC_INLINE void NAME(fc_add_some)(REAL *p, VEC v, int skip) {
    if (!skip) {
        NAME(fc_store)(p, NAME(fc_load)(p) + v);
    } else {
        REAL lanes[LANES];
        NAME(fc_store)(lanes, v);
        for (int lane = skip; lane < LANES; lane++) p[lane] += lanes[lane];
    }
}

FC_INLINE void NAME(fc_depthwise_gradient_tile)(const int taps, const REAL *x,
                                                const fc_area *area, const ptrdiff_t *offset,
                                                const ptrdiff_t *place, const REAL *dy,
                                                REAL *sums_out, REAL *bias_sums, int skip) {
    VEC sums[FC_TAPS], total = {0};
    FC_UNROLL
    for (int t = 0; t < taps; t++) sums[t] = (VEC){0};
    for (int line = 0; line < area->lines; line++) {
        const REAL *p[FC_TAPS], *d = dy + line * area->dy_line;
        FC_UNROLL
        for (int t = 0; t < taps; t++) p[t] = x + line * area->x_line + offset[t];
        ptrdiff_t at = 0;
        for (int n = 0; n < area->pixels; n++) {
            VEC gradient = NAME(fc_load)(d);
            total += gradient;
            FC_UNROLL
            for (int t = 0; t < taps; t++) sums[t] += gradient * NAME(fc_load)(p[t] + at);
            d += area->dy_step;
            at += area->x_step;
        }
    }
    FC_UNROLL
    for (int t = 0; t < taps; t++) NAME(fc_add_some)(sums_out + place[t], sums[t], skip);
    if (bias_sums) NAME(fc_add_some)(bias_sums, total, skip);
}

#define FC_TAPS_CASE(n)                                                                        \
    case n:                                                                                    \
        NAME(fc_depthwise_gradient_tile)(n, x + c, area, offset + first, place + first,        \
                                         dy + c, sums + c, first ? NULL : bias_sums + c,       \
                                         skip);                                                \
        break;

/* sums[place[t] + c] += sum over an area's pixels of x[pixel + offset[t], c] * dy[pixel, c] for
 * every tap t, bias_sums[c] += sum of dy[pixel, c]. */
FC_LEAF void NAME(fc_depthwise_gradient)(int taps, const REAL *x, const fc_area *area,
                                         const ptrdiff_t *offset, const ptrdiff_t *place,
                                         const REAL *dy, int channels, REAL *sums,
                                         REAL *bias_sums) {
    int blocks = (taps + FC_TAPS - 1) / FC_TAPS;
    int most = blocks ? (taps + blocks - 1) / blocks : 0; /* blocks of nearly equal size */
    for (int begin = 0; begin < channels; begin += LANES) {
        int c = begin + LANES <= channels ? begin : channels - LANES, skip = begin - c, first = 0;
        do { /* once without a tap too: the bias has a gradient anyhow */
            int count = most < taps - first ? most : taps - first;
            switch (count) {
                FC_TAPS_CASE(0)
                FC_TAPS_CASE(1)
                FC_TAPS_CASE(2)
                FC_TAPS_CASE(3)
                FC_TAPS_CASE(4)
                FC_TAPS_CASE(5)
                FC_TAPS_CASE(6)
                FC_TAPS_CASE(7)
                FC_TAPS_CASE(8)
                FC_TAPS_CASE(9)
                FC_TAPS_CASE(10)
            }
            first += count;
        } while (first < taps);
    }
}
#undef FC_TAPS_CASE

/* ---- planes: plane i holds, for every output channel, the i-th input channel of its group ---- */

/* Where a vector of channels lies from the first one's; `index` is as long as a vector at least. */
FC_INLINE VECI NAME(fc_lane_offsets)(const int32_t *index) {
    VECI lane;
    FC_UNROLL
    for (int l = 0; l < LANES; l++) lane[l] = index[l] - index[0];
    return lane;
}

/* A vector permuted out of one or two. */
FC_INLINE VEC NAME(fc_permuted)(const REAL *x, VECI lane, int vectors) {
    VEC first = NAME(fc_load)(x);
    return vectors == 1 ? __builtin_shuffle(first, lane)
                        : __builtin_shuffle(first, NAME(fc_load)(x + LANES), lane);
}

/* planes[i][c] = x[index[c] + i]; each vector permuted out of one or two of x, `shuffled`, which
 * may read as many past the pixel's last channel. */
FC_INLINE void NAME(fc_spread_pixel)(const REAL *x, const int32_t *index, int channels, int planes,
                                     REAL *out, ptrdiff_t plane_step, int shuffled) {
    if (!shuffled) {
        for (int i = 0; i < planes; i++)
            for (int c = 0; c < channels; c++) out[i * plane_step + c] = x[index[c] + i];
        return;
    }
    for (int begin = 0; begin < channels; begin += LANES) {
        int c = begin + LANES <= channels ? begin : channels - LANES;
        VECI lane = NAME(fc_lane_offsets)(index + c);
        for (int i = 0; i < planes; i++)
            NAME(fc_store)(out + i * plane_step + c,
                           NAME(fc_permuted)(x + index[c] + i, lane, shuffled));
    }
}

/* Pixels of fewer channels than a vector, phase by phase: each vector, out of `vectors` of x, holds
 * `together` pixels of a phase.  Return how many pixels are done: those that may be read so, of the
 * `readable` values.  What is written behind a pixel is put right by those after it in its phase,
 * or is past the row. */
FC_INLINE int NAME(fc_spread_narrow)(const int vectors, const REAL *x, ptrdiff_t readable,
                                     int width, int source_channels, VECI lane, int channels,
                                     int planes, int together, REAL *out, ptrdiff_t plane_step,
                                     ptrdiff_t phase_step, int phases, int start) {
    const ptrdiff_t behind = readable - (planes - 1) - vectors * LANES;
    const ptrdiff_t whole = behind < 0 ? 0 : behind / source_channels + 1;
    width = width < whole ? width : (int)whole;
    for (int first = 0; first < phases; first++) {
        const int at = first + start;
        REAL *to = out + at % phases * phase_step + (ptrdiff_t)(at / phases) * channels;
        for (int n = first; n < width; n += phases * together, to += channels * together)
            for (int i = 0; i < planes; i++)
                NAME(fc_store)(to + i * plane_step,
                               NAME(fc_permuted)(x + (ptrdiff_t)n * source_channels + i, lane,
                                                 vectors));
    }
    return width;
}

/* One row of `width` pixels of `source_channels` values into planes: pixel n goes to place
 * (n + start) / phases of phase (n + start) % phases.  With `together` > 0 channels are fewer than
 * a vector, which `index` lays out for as many pixels; up to LANES values are written behind the
 * last pixel of a phase. */
FC_LEAF void NAME(fc_load_plane_row)(const REAL *x, ptrdiff_t readable, int width,
                                     int source_channels, const int32_t *index, int channels,
                                     int planes, int together, REAL *out, ptrdiff_t plane_step,
                                     ptrdiff_t phase_step, int phases, int start, int shuffled) {
    int n = 0;
    if (together) {
        const VECI lane = NAME(fc_lane_offsets)(index);
        n = shuffled == 1
                ? NAME(fc_spread_narrow)(1, x, readable, width, source_channels, lane, channels,
                                         planes, together, out, plane_step, phase_step, phases,
                                         start)
                : NAME(fc_spread_narrow)(2, x, readable, width, source_channels, lane, channels,
                                         planes, together, out, plane_step, phase_step, phases,
                                         start);
        shuffled = 0;
    }
    int phase = (n + start) % phases, place = (n + start) / phases;
    for (; n < width; n++) {
        int whole = readable - (ptrdiff_t)(n + 1) * source_channels >= shuffled * LANES;
        NAME(fc_spread_pixel)(x + (ptrdiff_t)n * source_channels, index, channels, planes,
                              out + phase * phase_step + (ptrdiff_t)place * channels, plane_step,
                              whole ? shuffled : 0);
        if (++phase == phases) {
            phase = 0;
            place++;
        }
    }
}

#undef VEC
#undef VECI
#undef LANES
