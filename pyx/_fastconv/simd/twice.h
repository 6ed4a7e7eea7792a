/* Compiles a template for float and, where a level has it, for double.
 *
 *     #define FC_TEMPLATE "pool_template.h"
 *     #include "twice.h"
 *
 * A template defines each function once: REAL is its type, BITS the unsigned integer of that
 * size, NAME(x) the name with the type's suffix.
 */

#define REAL float
#define BITS uint32_t
#define NAME(x) x##_f32
#include FC_TEMPLATE
#undef REAL
#undef BITS
#undef NAME

#if !defined(FC_FLOAT32_ONLY)
#define REAL double
#define BITS uint64_t
#define NAME(x) x##_f64
#include FC_TEMPLATE
#undef REAL
#undef BITS
#undef NAME
#endif

#undef FC_TEMPLATE
