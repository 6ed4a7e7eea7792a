"""What this build and this CPU can do, and the threads; compiled without any SIMD flag."""

from cpython.pycapsule cimport PyCapsule_New

cdef extern from *:
    """
    #if defined(_OPENMP)
    #include "team/team.h"
    #define FC_OPENMP _OPENMP
    static const void *fc_begin_team(void) {
        pthread_atfork(NULL, NULL, fc_begin_child);
        return &fc_calls_of_team;
    }
    #else
    #define FC_OPENMP 0
    #define FC_CALLS ""
    static const void *fc_begin_team(void) { return ""; }
    #endif
    #if defined(__x86_64__)
    #include <cpuid.h>
    static int fc_halves_vectors(void) {
        unsigned int eax, ebx, ecx, edx;
        __cpuid(0, eax, ebx, ecx, edx);
        if (ebx != signature_AMD_ebx || ecx != signature_AMD_ecx || edx != signature_AMD_edx)
            return 0;
        __cpuid(1, eax, ebx, ecx, edx);
        return ((eax >> 8 & 15) + (eax >> 20 & 255)) == 0x19;
    }
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
    static int fc_halves_vectors(void) { return 0; }
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
    int fc_halves_vectors()
    const char* FC_CALLS
    const void* fc_begin_team()

calls = PyCapsule_New(<void*> fc_begin_team(), FC_CALLS, NULL)

LEVELS = ("baseline", "avx2", "avx512")


def supported_levels():
    """Return the SIMD levels this CPU runs, lowest first."""
    return tuple(name for number, name in enumerate(LEVELS) if fc_supports(number))


def halves_vectors():
    """Return whether this CPU has AVX-512 and takes two steps for a vector of 512 bits, as Zen 4.

    There one of 256 bits takes half as long.
    """
    return "avx512" in supported_levels() and bool(fc_halves_vectors())


def openmp_version():
    """Return the version of OpenMP's pragmas as its year and month (201511 is 4.5), 0 without threads."""
    return FC_OPENMP


def compiler():
    """Return the compiler's name and version."""
    return FC_COMPILER.decode()
