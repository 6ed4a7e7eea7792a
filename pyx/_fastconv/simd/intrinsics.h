/* The few operations that vector extensions cannot spell well: maximum, bytes, and bit masks of
 * what is active.  Each has a portable form beside that for x86.
 */
#ifndef FASTCONV_INTRINSICS_H
#define FASTCONV_INTRINSICS_H

#include "bytes.h"

/* Lanes of `yes` where the mask is set, of `no` elsewhere. */
FC_INLINE fc_i_f32 fc_select_f32(fc_i_f32 mask, fc_i_f32 yes, fc_i_f32 no) {
    return (yes & mask) | (no & ~mask);
}
FC_INLINE fc_i_f64 fc_select_f64(fc_i_f64 mask, fc_i_f64 yes, fc_i_f64 no) {
    return (yes & mask) | (no & ~mask);
}

/* Whether the mask is set in all lanes. */
FC_INLINE int fc_all_f32(fc_i_f32 mask) {
#if defined(__AVX512F__)
    return _mm512_movepi32_mask((__m512i)mask) == 0xFFFF;
#elif defined(__AVX__)
    return _mm256_movemask_ps((__m256)mask) == 0xFF;
#elif defined(__SSE2__)
    return _mm_movemask_ps((__m128)mask) == 0xF;
#else
    int32_t all = -1;
    for (int i = 0; i < FC_LANES_F32; i++) all &= mask[i];
    return all != 0;
#endif
}
FC_INLINE int fc_all_f64(fc_i_f64 mask) {
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)mask) == 0xFF;
#elif defined(__AVX__)
    return _mm256_movemask_pd((__m256d)mask) == 0xF;
#elif defined(__SSE2__)
    return _mm_movemask_pd((__m128d)mask) == 0x3;
#else
    int64_t all = -1;
    for (int i = 0; i < FC_LANES_F64; i++) all &= mask[i];
    return all != 0;
#endif
}

/* The first `count` lanes, fewer than all. */
#if defined(__AVX512F__)
FC_INLINE void fc_store_first_f32(float *p, fc_v_f32 v, int count) {
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
}
FC_INLINE void fc_store_first_f64(double *p, fc_v_f64 v, int count) {
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), (__m512d)v);
}
#else
/* Halves, quarters, …: a copy of unknown length is a call.  Out of line, or a tile's sums would be
 * taken for an array and kept on the stack. */
#define FC_STORE_FIRST(STORE_FIRST, VEC, REAL)                                                   \
    FC_LEAF void STORE_FIRST(REAL *p, VEC v, int count) {                                        \
        REAL lanes[FC_BYTES / sizeof(REAL)];                                                     \
        int at = 0;                                                                              \
        memcpy(lanes, &v, sizeof v);                                                             \
        FC_UNROLL                                                                                \
        for (int piece = FC_BYTES / sizeof(REAL) / 2; piece > 0; piece /= 2)                     \
            if (count & piece) {                                                                 \
                memcpy(p + at, lanes + at, piece * sizeof(REAL));                                \
                at += piece;                                                                     \
            }                                                                                    \
    }
FC_STORE_FIRST(fc_store_first_f32, fc_v_f32, float)
FC_STORE_FIRST(fc_store_first_f64, fc_v_f64, double)
#undef FC_STORE_FIRST
#endif

/* Each of the first three of four floats in all lanes. */
FC_INLINE void fc_splat_three_f32(const float *four, fc_v_f32 values[3]) {
#if defined(__AVX__) && !defined(__AVX512F__)
    __m256 both = _mm256_broadcast_ps((const __m128 *)four);
    values[0] = (fc_v_f32)_mm256_permute_ps(both, 0x00);
    values[1] = (fc_v_f32)_mm256_permute_ps(both, 0x55);
    values[2] = (fc_v_f32)_mm256_permute_ps(both, 0xAA);
#else
    for (int i = 0; i < 3; i++) values[i] = four[i] - (fc_v_f32){0};
#endif
}

/* The larger of a and b; where either is a NaN, either. */
FC_INLINE fc_v_f32 fc_max_f32(fc_v_f32 a, fc_v_f32 b) {
#if defined(__AVX512F__)
    return (fc_v_f32)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (fc_v_f32)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (fc_v_f32)_mm_max_ps((__m128)a, (__m128)b);
#else
    return (fc_v_f32)fc_select_f32(a > b, (fc_i_f32)a, (fc_i_f32)b);
#endif
}
FC_INLINE fc_v_f64 fc_max_f64(fc_v_f64 a, fc_v_f64 b) {
    return (fc_v_f64)fc_select_f64(a > b, (fc_i_f64)a, (fc_i_f64)b);
}

/* totals = the sums of the lanes of a, b, c and d: halves are added to halves. */
FC_INLINE void fc_sum_four_f64(fc_v_f64 a, fc_v_f64 b, fc_v_f64 c, fc_v_f64 d, double *totals) {
    double lanes[4][FC_LANES_F64];
    memcpy(lanes[0], &a, sizeof a);
    memcpy(lanes[1], &b, sizeof b);
    memcpy(lanes[2], &c, sizeof c);
    memcpy(lanes[3], &d, sizeof d);
    for (int half = FC_LANES_F64 / 2; half > 0; half /= 2)
        for (int k = 0; k < 4; k++)
            for (int i = 0; i < half; i++) lanes[k][i] += lanes[k][i + half];
    for (int k = 0; k < 4; k++) totals[k] = lanes[k][0];
}
FC_INLINE fc_four_f32 fc_fold_f32(fc_v_f32 v) {
#if defined(__AVX512F__)
    __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v, 1));
    __m256 folded = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), upper);
    return _mm_add_ps(_mm256_castps256_ps128(folded), _mm256_extractf128_ps(folded, 1));
#elif defined(__AVX__)
    return _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
#else
    return (fc_four_f32)v;
#endif
}
FC_INLINE void fc_sum_four_f32(fc_v_f32 a, fc_v_f32 b, fc_v_f32 c, fc_v_f32 d, float *totals) {
    typedef int32_t four __attribute__((vector_size(16)));
    const four low = {0, 1, 4, 5}, high = {2, 3, 6, 7}, even = {0, 2, 4, 6}, odd = {1, 3, 5, 7};
    fc_four_f32 p = fc_fold_f32(a), q = fc_fold_f32(b), r = fc_fold_f32(c), s = fc_fold_f32(d);
    fc_four_f32 pq = __builtin_shuffle(p, q, low) + __builtin_shuffle(p, q, high);
    fc_four_f32 rs = __builtin_shuffle(r, s, low) + __builtin_shuffle(r, s, high);
    fc_four_f32 sums = __builtin_shuffle(pq, rs, even) + __builtin_shuffle(pq, rs, odd);
    memcpy(totals, &sums, sizeof sums);
}

/* Lanes where a or b is a NaN. */
FC_INLINE fc_i_f64 fc_unordered_f64(fc_v_f64 a, fc_v_f64 b) { return (a != a) | (b != b); }

/* The end of ReLU and 2x2 max pooling: `largest` of the four (with what was added to it) cut at 0,
 * a NaN where one of them is, and which it was: the first of equals, 4 where none is above 0. */
#define FC_WINDOW_END(WINDOW_END, SUFFIX)                                                        \
    FC_INLINE fc_v_##SUFFIX WINDOW_END(const fc_v_##SUFFIX *four, fc_v_##SUFFIX largest,         \
                                       fc_i_##SUFFIX *argmax_at) {                               \
        fc_v_##SUFFIX upper = fc_max_##SUFFIX(four[0], four[1]);                                 \
        fc_v_##SUFFIX lower = fc_max_##SUFFIX(four[2], four[3]);                                 \
        fc_v_##SUFFIX best = fc_max_##SUFFIX(largest, (fc_v_##SUFFIX){0});                       \
        fc_i_##SUFFIX strange =                                                                  \
            fc_unordered_##SUFFIX(four[0], four[1]) | fc_unordered_##SUFFIX(four[2], four[3]);   \
        fc_i_##SUFFIX below = lower > upper;                                                     \
        fc_i_##SUFFIX right = fc_select_##SUFFIX(below, four[3] > four[2], four[1] > four[0]);   \
        fc_i_##SUFFIX inactive = (best == (fc_v_##SUFFIX){0}) | strange;                         \
        *argmax_at =                                                                             \
            fc_select_##SUFFIX(inactive, (fc_i_##SUFFIX){0} + 4, (right & 1) | (below & 2));     \
        return (fc_v_##SUFFIX)((fc_i_##SUFFIX)best | strange);                                   \
    }
FC_WINDOW_END(fc_window_end_f64, f64)
#if defined(__AVX512F__)
/* Masks, which GCC would take through the scalar registers. */
FC_INLINE fc_v_f32 fc_window_end_f32(const fc_v_f32 *four, fc_v_f32 largest, fc_i_f32 *argmax_at) {
    const __m512 first = (__m512)four[0], second = (__m512)four[1];
    const __m512 third = (__m512)four[2], fourth = (__m512)four[3];
    const __m512i two = _mm512_set1_epi32(2), strange = _mm512_set1_epi32(-1);
    __mmask16 ordered = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(first, second, _CMP_ORD_Q),
                                                third, fourth, _CMP_ORD_Q);
    __m512 best = _mm512_mask_max_ps(_mm512_castsi512_ps(strange), ordered, (__m512)largest,
                                     _mm512_setzero_ps());
    __mmask16 below = _mm512_cmp_ps_mask((__m512)fc_max_f32(four[2], four[3]),
                                         (__m512)fc_max_f32(four[0], four[1]), _CMP_GT_OQ);
    __m512i upper = _mm512_maskz_set1_epi32(_mm512_cmp_ps_mask(second, first, _CMP_GT_OQ), 1);
    __m512i lower = _mm512_mask_set1_epi32(two, _mm512_cmp_ps_mask(fourth, third, _CMP_GT_OQ), 3);
    __mmask16 active = _mm512_cmp_ps_mask(best, _mm512_setzero_ps(), _CMP_GT_OQ);
    upper = _mm512_mask_mov_epi32(upper, below, lower);
    *argmax_at = (fc_i_f32)_mm512_mask_mov_epi32(_mm512_set1_epi32(4), active, upper);
    return (fc_v_f32)best;
}
#else
FC_INLINE fc_i_f32 fc_unordered_f32(fc_v_f32 a, fc_v_f32 b) {
#if defined(__AVX__)
    return (fc_i_f32)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
#elif defined(__SSE2__)
    return (fc_i_f32)_mm_cmpunord_ps((__m128)a, (__m128)b);
#else
    return (a != a) | (b != b);
#endif
}
FC_WINDOW_END(fc_window_end_f32, f32)
#endif
#undef FC_WINDOW_END

/* ---- masks[w]: bit k is set where argmax[k] is w and dy[k] is not 0, for up to 64 k ---- */

FC_INLINE void fc_window_masks_f64(const double *dy, const uint8_t *argmax, int count,
                                   uint64_t masks[4]) {
    uint64_t found[5] = {0};
    for (int k = 0; k < count; k++) found[dy[k] != 0 ? argmax[k] : 4] |= (uint64_t)1 << k;
    memcpy(masks, found, 4 * sizeof *masks);
}

#if defined(__SSE2__)
/* Sixteen argmax, 255 where dy is 0. */
FC_INLINE __m128i fc_active(const float *dy, const uint8_t *argmax) {
    const __m128 zero = _mm_setzero_ps();
    __m128i a = _mm_castps_si128(_mm_cmpeq_ps(_mm_loadu_ps(dy), zero));
    __m128i b = _mm_castps_si128(_mm_cmpeq_ps(_mm_loadu_ps(dy + 4), zero));
    __m128i c = _mm_castps_si128(_mm_cmpeq_ps(_mm_loadu_ps(dy + 8), zero));
    __m128i d = _mm_castps_si128(_mm_cmpeq_ps(_mm_loadu_ps(dy + 12), zero));
    __m128i inactive = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
    return _mm_or_si128(inactive, _mm_loadu_si128((const __m128i *)argmax));
}

FC_INLINE void fc_window_masks_f32(const float *dy, const uint8_t *argmax, int count,
                                   uint64_t masks[4]) {
    float dy_end[16];
    uint8_t argmax_end[16];
    uint64_t found[4] = {0};
    for (int k = 0; k < count; k += 16) {
        __m128i active;
        if (count - k >= 16) {
            active = fc_active(dy + k, argmax + k);
        } else {
            memset(dy_end, 0, sizeof dy_end);
            memset(argmax_end, 0, sizeof argmax_end);
            memcpy(dy_end, dy + k, (size_t)(count - k) * sizeof *dy);
            memcpy(argmax_end, argmax + k, (size_t)(count - k));
            active = fc_active(dy_end, argmax_end);
        }
        FC_UNROLL
        for (int w = 0; w < 4; w++) {
            __m128i equal = _mm_cmpeq_epi8(active, _mm_set1_epi8((char)w));
            found[w] |= (uint64_t)(uint32_t)_mm_movemask_epi8(equal) << k;
        }
    }
    memcpy(masks, found, sizeof found);
}
#else
FC_INLINE void fc_window_masks_f32(const float *dy, const uint8_t *argmax, int count,
                                   uint64_t masks[4]) {
    uint64_t found[5] = {0};
    for (int k = 0; k < count; k++) found[dy[k] != 0 ? argmax[k] : 4] |= (uint64_t)1 << k;
    memcpy(masks, found, 4 * sizeof *masks);
}
#endif

/* Transpose a 64 x 64 matrix of bits: bit j of word i becomes bit i of word j. */
FC_LEAF void fc_transpose_bits(uint64_t *restrict words) {
    uint64_t low = 0x00000000FFFFFFFFu;
    for (int half = 32; half; half >>= 1, low ^= low << half)
        for (int block = 0; block < 64; block += 2 * half)
            for (int i = block; i < block + half; i++) {
                uint64_t swap = ((words[i] >> half) ^ words[i + half]) & low;
                words[i + half] ^= swap;
                words[i] ^= swap << half;
            }
}

#endif
