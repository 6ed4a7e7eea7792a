/* What lists of the active are made with where the CPU can permute eight lanes: a table that moves
 * the lanes of a mask to the front, and 8 x 8 transposes.
 */
#ifndef FASTCONV_COMPRESS_H
#define FASTCONV_COMPRESS_H

#include "intrinsics.h"

/* Of each mask, the places of its set bits, in order. */
static uint8_t fc_compress_table[256][8];

/* Once, when a module is imported. */
FC_LEAF void fc_fill_compress_table(void) {
    for (int mask = 0; mask < 256; mask++)
        for (int bit = 0, count = 0; bit < 8; bit++)
            if (mask >> bit & 1) fc_compress_table[mask][count++] = (uint8_t)bit;
}

#if defined(__AVX2__)

/* Bit i is set where lane i is not 0. */
FC_INLINE int fc_active_lanes(__m256 values) {
    return _mm256_movemask_ps(_mm256_cmp_ps(values, _mm256_setzero_ps(), _CMP_NEQ_UQ));
}

FC_INLINE __m256i fc_compress_order(int mask) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)fc_compress_table[mask]));
}

FC_INLINE void fc_transpose_eight(__m256 rows[8]) {
    __m256 pairs[8], fours[8];
    FC_UNROLL
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    FC_UNROLL
    for (int i = 0; i < 8; i += 4)
        FC_UNROLL
        for (int half = 0; half < 2; half++) {
            fours[i + 2 * half] = _mm256_shuffle_ps(pairs[i + half], pairs[i + 2 + half], 0x44);
            fours[i + 2 * half + 1] = _mm256_shuffle_ps(pairs[i + half], pairs[i + 2 + half], 0xEE);
        }
    FC_UNROLL
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}

#endif
#endif
