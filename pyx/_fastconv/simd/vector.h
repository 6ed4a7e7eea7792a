/* Vectors of the widest kind this compilation may use.
 *
 * Every kernel source is compiled once per SIMD level; the level's compiler
 * flags decide FC_BYTES here and nothing else changes.  GCC's vector
 * extensions keep the code free of intrinsics and portable to other CPUs.
 *
 * FC_ROWS is the height of a register tile that is two vectors wide: with 32
 * registers 12 x 2 accumulators + 2 weights + 1 broadcast fit, with 16
 * registers 6 x 2 + 2 + 1 do.  A tile one vector wide is FC_NARROW_ROWS high:
 * eight sums keep two multipliers of a latency of four busy.
 */
#ifndef FASTCONV_VECTOR_H
#define FASTCONV_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define FC_BYTES 64
#define FC_ROWS 12
#elif defined(__AVX__)
#define FC_BYTES 32
#define FC_ROWS 6
#elif defined(__aarch64__)
#define FC_BYTES 16
#define FC_ROWS 12
#else
#define FC_BYTES 16
#define FC_ROWS 6
#endif

#define FC_NARROW_ROWS (FC_ROWS > 8 ? FC_ROWS : 8)

#define FC_INLINE static inline __attribute__((always_inline, unused))
#define FC_LEAF static __attribute__((noinline, unused))
#define FC_UNROLL _Pragma("GCC unroll 32")
#define FC_ROLLED _Pragma("GCC unroll 1")

/* A template's function for the type of a value, or of what its first, second or third argument
 * points to: `real` names both types to Cython. */
#if defined(FC_FLOAT32_ONLY)
#define FC_TYPED(name, value) _Generic((value) + 0, float: name##_f32)
#else
#define FC_TYPED(name, value) _Generic((value) + 0, float: name##_f32, double: name##_f64)
#endif
#define FC_BY_1(name, a, ...) FC_TYPED(name, *(a))(a, __VA_ARGS__)
#define FC_BY_2(name, a, b, ...) FC_TYPED(name, *(b))(a, b, __VA_ARGS__)
#define FC_BY_3(name, a, b, c, ...) FC_TYPED(name, *(c))(a, b, c, __VA_ARGS__)

/* Keep a loaded vector in a register: GCC would load it again for each sum it is used in. */
#if defined(__x86_64__) || defined(__i386__)
#define FC_HOLD(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define FC_HOLD(vector) __asm__("" : "+w"(vector))
#else
#define FC_HOLD(vector) ((void)0)
#endif

/* Address what lies behind a pointer from that: GCC would keep the sums of each constant distance
 * and the loop's invariants instead, in more registers than there are. */
#define FC_HOLD_POINTER(pointer) __asm__("" : "+r"(pointer))

/* The kernel gradient's tile with the patch as vectors: sums that leave registers for operands. */
#define FC_FILTERS 4
#define FC_PATCH_VECTORS 6
#define FC_PATCH_SUMS (FC_ROWS > 6 ? 24 : 12)

/* Tile and lane counts for Cython, which plans layouts with them. */
enum {
    FC_LANES_F32 = FC_BYTES / 4,
    FC_LANES_F64 = FC_BYTES / 8,
    FC_TILE_ROWS = FC_ROWS,
    FC_NARROW_TILE_ROWS = FC_NARROW_ROWS,
    FC_TILE_FILTERS = FC_FILTERS,
    FC_MOST_PATCH_VECTORS = FC_PATCH_VECTORS,
    FC_MOST_PATCH_SUMS = FC_PATCH_SUMS
};

typedef float fc_v_f32 __attribute__((vector_size(FC_BYTES)));
typedef float fc_u_f32 __attribute__((vector_size(FC_BYTES), aligned(4), may_alias));
typedef int32_t fc_i_f32 __attribute__((vector_size(FC_BYTES)));
typedef uint8_t fc_b_f32 __attribute__((vector_size(FC_BYTES / 4)));

/* Four floats, whatever the level. */
typedef float fc_four_f32 __attribute__((vector_size(16)));

typedef double fc_v_f64 __attribute__((vector_size(FC_BYTES)));
typedef double fc_u_f64 __attribute__((vector_size(FC_BYTES), aligned(8), may_alias));
typedef int64_t fc_i_f64 __attribute__((vector_size(FC_BYTES)));
typedef uint8_t fc_b_f64 __attribute__((vector_size(FC_BYTES / 8)));

#endif
