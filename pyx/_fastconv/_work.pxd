"""Tasks shared out among the threads of a parallel region; see simd/work.h.

    share_work(&work, tasks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (task := next_task(&work, threadid())) >= 0:
            ...
        wait_for_all()
        for task in prange(...):  # reads what the loop before wrote

What a model predicts with is a body, which can be run again without Python; see simd/replay.h:

    cdef void body(void* context, int thread) noexcept nogil:
        cdef Call* c = <Call*> context
        while (task := next_task(c.works, thread)) >= 0:
            ...

    share_work(c.works, tasks, num_threads)
    run(body, &c, c.works, 1, num_threads)
"""

from cpython.pycapsule cimport PyCapsule_Import
from libc.stddef cimport ptrdiff_t

cdef extern from "simd/work.h" nogil:
    ctypedef struct Work "fc_work":
        pass
    ctypedef void (*Body "fc_body")(void* context, int thread) noexcept nogil
    const char* REPLAY_CALLS "FC_REPLAY_CALLS"
    const void* replay_calls "fc_replay"
    void share_work "fc_share_work"(Work* work, ptrdiff_t tasks, int threads) noexcept
    ptrdiff_t next_task "fc_next_task"(Work* work, int thread) noexcept
    void wait_for_all "fc_wait_for_all"() noexcept
    void run "fc_run"(Body body, void* context, Work* works, int phases, int threads) noexcept


cdef inline int set_up_replay() except -1:
    """Let what this module's kernels run be recorded; at its import."""
    global replay_calls
    replay_calls = PyCapsule_Import(REPLAY_CALLS, 0)
    return 0
