/* The lists of the kernel gradient where the CPU can permute eight lanes by a table.
 *
 * Blocks of eight window positions by eight filters: dy and the offsets of the maxima's patches are
 * transposed to a vector of windows per filter, and the active lanes of each are compressed
 * and stored whole at the end of that filter's list, past which up to seven values are garbage.
 * No branch and no address depends on what lives.
 */
#ifndef FASTCONV_SPARSE_LIST_H
#define FASTCONV_SPARSE_LIST_H

#include "compress.h"

#if defined(__AVX2__)

/* dy of up to eight filters, 0 where the window is inactive, and the offsets of the argmax. */
FC_INLINE void fc_active_patches(const float *dy, const uint8_t *argmax, int filters,
                                 int32_t origin, __m256i shifts, __m256 *active,
                                 __m256 *offsets) {
    float some_dy[8] = {0};
    uint8_t some_argmax[8] = {0};
    if (filters < 8) {
        memcpy(some_dy, dy, (size_t)filters * sizeof *dy);
        memcpy(some_argmax, argmax, (size_t)filters);
        dy = some_dy;
        argmax = some_argmax;
    }
    __m256i argmax_at = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)argmax));
    __m256i chosen = _mm256_cmpgt_epi32(_mm256_set1_epi32(4), argmax_at);
    *active = _mm256_and_ps(_mm256_loadu_ps(dy), _mm256_castsi256_ps(chosen));
    *offsets = _mm256_castsi256_ps(_mm256_add_epi32(
        _mm256_set1_epi32(origin), _mm256_permutevar8x32_epi32(shifts, argmax_at)));
}

/* As fc_list_bits. */
FC_LEAF void fc_list_f32(const float *dy, const uint8_t *argmax, ptrdiff_t pixel, int positions,
                         int filters, const int32_t *origin, const int32_t *shift, int capacity,
                         int32_t *offsets, float *gradients, int32_t *counts, float *totals) {
    const __m256i shifts = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)shift));
    for (int k = 0; k < filters; k += 8) {
        int some = filters - k < 8 ? filters - k : 8;
        __m256 total = _mm256_setzero_ps();
        float sums[8];
        for (int first = 0; first < positions; first += 8) {
            __m256 active[8], patches[8];
            for (int i = 0; i < 8; i++) {
                ptrdiff_t at = (first + i) * pixel + k;
                /* What the next call reads: the CPU's own prefetching does not follow this. */
                __builtin_prefetch(dy + at + 64 * pixel);
                __builtin_prefetch(argmax + at + 64 * pixel);
                active[i] = patches[i] = _mm256_setzero_ps();
                if (first + i < positions)
                    fc_active_patches(dy + at, argmax + at, some, origin[first + i], shifts,
                                      &active[i], &patches[i]);
                total = _mm256_add_ps(total, active[i]);
            }
            fc_transpose_eight(active);
            fc_transpose_eight(patches);
            for (int i = 0; i < some; i++) {
                int mask = fc_active_lanes(active[i]);
                __m256i order = fc_compress_order(mask);
                ptrdiff_t to = (ptrdiff_t)(k + i) * capacity + counts[k + i];
                _mm256_storeu_ps(gradients + to, _mm256_permutevar8x32_ps(active[i], order));
                _mm256_storeu_ps((float *)offsets + to,
                                 _mm256_permutevar8x32_ps(patches[i], order));
                counts[k + i] += __builtin_popcount((unsigned)mask);
            }
        }
        _mm256_storeu_ps(sums, total);
        for (int i = 0; i < some; i++) totals[k + i] += sums[i];
    }
}

#else
#define fc_list_f32 fc_list_bits_f32
#endif
#define fc_list_f64 fc_list_bits_f64

#endif
