"""What this build and this CPU can do; compiled without any SIMD flag."""

cdef extern from *:
    """
    #if defined(_OPENMP)
    #include <omp.h>
    #define FC_OPENMP _OPENMP
    #else
    #define FC_OPENMP 0
    #endif
    #if defined(__x86_64__)
    static int fc_supports(int level) {
        __builtin_cpu_init();
        if (level == 0) return 1;
        /* What AVX2 modules may use, AVX-512 modules use too. */
        if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
            !__builtin_cpu_supports("bmi"))
            return 0;
        return level == 1 ||
               (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
    }
    #else
    static int fc_supports(int level) { return level == 0; }
    #endif
    #if defined(__clang__)
    #define FC_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FC_COMPILER "gcc " __VERSION__
    #else
    #define FC_COMPILER "unknown"
    #endif
    """
    const int FC_OPENMP
    const char* FC_COMPILER
    int fc_supports(int level)

LEVELS = ("baseline", "avx2", "avx512")


def supported_levels():
    """Return the SIMD levels this CPU runs, lowest first."""
    return tuple(name for number, name in enumerate(LEVELS) if fc_supports(number))


def openmp_version():
    """Return OpenMP's version as its year and month (201511 is 4.5), 0 for a serial build."""
    return FC_OPENMP


def compiler():
    """Return the compiler's name and version."""
    return FC_COMPILER.decode()
