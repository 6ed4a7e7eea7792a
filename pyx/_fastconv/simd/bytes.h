/* Vectors of small whole numbers to and from bytes, one a lane.
 *
 * GCC takes __builtin_convertvector between 8-bit and 32-bit lanes apart into
 * scalars, thirty instructions for one; hence intrinsics, and the portable form
 * where there are none.
 */
#ifndef FASTCONV_BYTES_H
#define FASTCONV_BYTES_H

#include "vector.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

FC_INLINE fc_i_f32 fc_load_bytes_f32(const uint8_t *p) {
#if defined(__AVX512F__)
    return (fc_i_f32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined(__AVX2__)
    return (fc_i_f32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#elif defined(__SSE2__)
    int32_t four;
    memcpy(&four, p, 4);
    __m128i zero = _mm_setzero_si128();
    return (fc_i_f32)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero), zero);
#else
    fc_b_f32 bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, fc_i_f32);
#endif
}

FC_INLINE void fc_store_bytes_f32(uint8_t *p, fc_i_f32 v) {
#if defined(__AVX512F__)
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
#elif defined(__AVX2__)
    __m128i low = _mm256_castsi256_si128((__m256i)v);
    __m128i words = _mm_packs_epi32(low, _mm256_extracti128_si256((__m256i)v, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(words, words));
#elif defined(__SSE2__)
    __m128i words = _mm_packs_epi32((__m128i)v, (__m128i)v);
    int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    memcpy(p, &four, 4);
#else
    fc_b_f32 bytes = __builtin_convertvector(v, fc_b_f32);
    memcpy(p, &bytes, sizeof bytes);
#endif
}

FC_INLINE fc_i_f64 fc_load_bytes_f64(const uint8_t *p) {
    fc_b_f64 bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, fc_i_f64);
}

FC_INLINE void fc_store_bytes_f64(uint8_t *p, fc_i_f64 v) {
    fc_b_f64 bytes = __builtin_convertvector(v, fc_b_f64);
    memcpy(p, &bytes, sizeof bytes);
}

/* The first `count` of them; none where it is below 1. */
#define FC_STORE_SOME_BYTES(STORE_SOME, STORE, VEC, LANES)                                       \
    FC_INLINE void STORE_SOME(uint8_t *p, VEC v, int count) {                                    \
        uint8_t bytes[LANES];                                                                    \
        if (count >= LANES) {                                                                    \
            STORE(p, v);                                                                         \
        } else if (count > 0) {                                                                  \
            STORE(bytes, v);                                                                     \
            memcpy(p, bytes, (size_t)count);                                                     \
        }                                                                                        \
    }
#if defined(__AVX512F__)
FC_INLINE void fc_store_some_bytes_f32(uint8_t *p, fc_i_f32 v, int count) {
    if (count > 0)
        _mm_mask_storeu_epi8(p, (__mmask16)(count < 16 ? (1u << count) - 1 : 0xFFFF),
                             _mm512_cvtepi32_epi8((__m512i)v));
}
#else
FC_STORE_SOME_BYTES(fc_store_some_bytes_f32, fc_store_bytes_f32, fc_i_f32, FC_LANES_F32)
#endif
FC_STORE_SOME_BYTES(fc_store_some_bytes_f64, fc_store_bytes_f64, fc_i_f64, FC_LANES_F64)
#undef FC_STORE_SOME_BYTES

#endif
