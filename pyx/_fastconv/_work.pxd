"""Tasks shared out among the threads of a parallel region; see simd/work.h.

    share_work(&work, tasks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (task := next_task(&work, threadid())) >= 0:
            ...
        wait_for_all()
        for task in prange(...):  # reads what the loop before wrote
"""

from libc.stddef cimport ptrdiff_t

cdef extern from "simd/work.h" nogil:
    ctypedef struct Work "fc_work":
        pass
    void share_work "fc_share_work"(Work* work, ptrdiff_t tasks, int threads) noexcept
    ptrdiff_t next_task "fc_next_task"(Work* work, int thread) noexcept
    void wait_for_all "fc_wait_for_all"() noexcept
