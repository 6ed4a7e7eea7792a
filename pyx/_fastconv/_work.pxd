"""Tasks shared out among the threads of a parallel region; see simd/work.h and team/team.h.

    join_team()                   # once a module
    ...
    share_work(&work, tasks, num_threads)
    share_work(&sums, ...)
    with nogil, parallel(num_threads=num_threads):
        while (task := next_task(&work, threadid())) >= 0:
            ...
        wait_for_all()
        while (task := next_task(&sums, threadid())) >= 0:  # reads what the loop before wrote
            ...

A thread may never come, or late: whatever it would do is a task that others take.

What a model predicts with is a body, which can be run again without Python; see simd/replay.h:

    cdef void body(void* context, int thread) noexcept nogil:
        cdef Call* c = <Call*> context
        while (task := next_task(c.works, thread)) >= 0:
            ...

    share_work(c.works, tasks, num_threads)
    run(body, &c, c.works, 1, num_threads)
"""

from libc.stddef cimport ptrdiff_t

cdef extern from "simd/work.h" nogil:
    ctypedef struct Work "fc_work":
        pass
    ctypedef void (*Body "fc_body")(void* context, int thread) noexcept nogil
    void share_work "fc_share_work"(Work* work, ptrdiff_t tasks, int threads) noexcept
    void raise_flag "fc_raise_flag"(int* flag) noexcept
    ptrdiff_t next_task "fc_next_task"(Work* work, int thread) noexcept
    void wait_for_all "fc_wait_for_all"() noexcept
    void run "fc_run_body"(Body body, void* context, Work* works, int phases, int threads) noexcept

cdef extern from "simd/work.h":
    int join_team "fc_join_team"() except -1
