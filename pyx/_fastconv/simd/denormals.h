/* Flush denormals to zero while a kernel runs, and put the mode back after.
 *
 * Late in training, gradients and optimizer slots decay into denormals, which
 * cost a hundred cycles each.  The mode is a thread's own, so every worker sets
 * it on entering the parallel region.
 */
#ifndef FASTCONV_DENORMALS_H
#define FASTCONV_DENORMALS_H

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned int fc_float_mode;
static inline fc_float_mode fc_flush_denormals(void) {
    fc_float_mode before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* FTZ and DAZ */
    return before;
}
static inline void fc_restore_denormals(fc_float_mode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
typedef unsigned long fc_float_mode;
static inline fc_float_mode fc_flush_denormals(void) {
    fc_float_mode before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | (1ul << 24)));
    return before;
}
static inline void fc_restore_denormals(fc_float_mode mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
typedef int fc_float_mode;
static inline fc_float_mode fc_flush_denormals(void) { return 0; }
static inline void fc_restore_denormals(fc_float_mode mode) { (void)mode; }
#endif

#endif
