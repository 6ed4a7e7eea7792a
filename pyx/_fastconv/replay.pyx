"""Programs of kernels: what was run once, run again without Python in between.

While a `Program` is being recorded, kernels of this thread hand over copies of what they run; see
simd/replay.h.  `run` goes through them in one parallel region, each after the one before is done.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t
from cpython.ref cimport PyObject
from libc.stdlib cimport free, malloc

cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #include "simd/work.h"

    typedef struct {
        fc_body body;
        fc_context *context;
        fc_work *works;
        int phases, threads;
    } fc_step;

    typedef struct {
        fc_step *steps;
        ptrdiff_t count;
        int failed; /* out of memory */
    } fc_program;

    static __thread fc_program *fc_recording;

    static void fc_record(fc_body body, const void *context, const fc_work *works, int phases,
                          int threads) {
        fc_program *program = fc_recording;
        if (!program || program->failed) return;
        const size_t head = (size_t)((const char *)works - (const char *)context);
        fc_step *steps = realloc(program->steps, (program->count + 1) * sizeof *steps);
        char *copy = calloc(1, head + phases * sizeof(fc_work));
        if (steps) program->steps = steps;
        if (!steps || !copy) {
            free(copy);
            program->failed = 1;
            return;
        }
        memcpy(copy, context, head);
        fc_step step = {body, (fc_context *)copy, (fc_work *)(copy + head), phases, threads};
        for (int phase = 0; phase < phases; phase++)
            fc_share_work(step.works + phase, works[phase].tasks, threads);
        steps[program->count++] = step;
    }

    static const fc_replay_calls fc_recorder = {fc_record};

    /* This module's own calls cannot be imported by itself. */
    static int fc_join(void) {
    #if defined(_OPENMP)
        fc_runtime = (const fc_calls *)PyCapsule_Import(FC_CALLS, 0);
        return fc_runtime ? 0 : -1;
    #else
        return 0;
    #endif
    }

    static void fc_run_steps(const fc_step *steps, ptrdiff_t count, int threads) {
        for (ptrdiff_t s = 0; s < count; s++)
            for (int phase = 0; phase < steps[s].phases; phase++)
                fc_share_work(steps[s].works + phase, steps[s].works[phase].tasks,
                              steps[s].threads);
        _Pragma("omp parallel num_threads(threads)") {
            const int thread = omp_get_thread_num();
            fc_float_mode mode = fc_flush_denormals();
            for (ptrdiff_t s = 0; s < count; s++) {
                if (s) fc_wait_for_all();
                /* Scratch has rows for as many; but all threads meet between phases. */
                if (thread < steps[s].threads)
                    steps[s].body(steps[s].context, thread);
                else
                    for (int phase = 1; phase < steps[s].phases; phase++) fc_wait_for_all();
            }
            fc_restore_denormals(mode);
        }
    }
    """
    ctypedef struct Context "fc_context":
        const void* inputs[2]
    ctypedef struct Step "fc_step":
        Context* context
        int threads
    ctypedef struct Steps "fc_program":
        Step* steps
        ptrdiff_t count
        int failed
    const void* CALLS "&fc_recorder"
    Steps* recording "fc_recording"
    int join_team "fc_join"() except -1
    void run_steps "fc_run_steps"(const Step* steps, ptrdiff_t count, int threads) nogil

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject*) noexcept


cdef class Program:
    """What kernels ran between `with program:` and its end, on this thread.

    The arrays that they read and write must stay where they are, but for the `inputs` of `bind`.
    """

    cdef Steps steps
    cdef Steps* before
    cdef list places            # (step, which of its inputs, which of ours)

    def __cinit__(self):
        self.places = []

    def __dealloc__(self):
        cdef ptrdiff_t s
        for s in range(self.steps.count):
            free(self.steps.steps[s].context)
        free(self.steps.steps)

    def __enter__(self):
        global recording
        self.before, recording = recording, &self.steps
        return self

    def __exit__(self, *error):
        global recording
        recording = self.before

    def __len__(self):
        return self.steps.count

    def bind(self, list inputs, /):
        """Take the addresses of arrays that were read, and may be others in `run`.

        Return whether all that ran was recorded: memory may have been short.
        """
        cdef ptrdiff_t s
        cdef size_t address
        cdef int which
        for s in range(self.steps.count):
            for which in range(2):
                address = <size_t> self.steps.steps[s].context.inputs[which]
                if address in inputs:
                    self.places.append((s, which, inputs.index(address)))
        return not self.steps.failed

    def run(self, list inputs, /):
        """Run all again, with arrays at these addresses in the place of those of `bind`."""
        cdef ptrdiff_t s
        cdef int threads = 1
        cdef size_t address
        for s, which, ours in self.places:
            address = inputs[ours]
            self.steps.steps[s].context.inputs[<int> which] = <const void*> address
        for s in range(self.steps.count):
            threads = max(threads, self.steps.steps[s].threads)
        with nogil:
            run_steps(self.steps.steps, self.steps.count, threads)


cdef class Watch:
    """Tells whether anybody has some objects but their owners, who keep one reference to each."""

    cdef list owners
    cdef PyObject** objects    # not counted
    cdef Py_ssize_t count

    def __cinit__(self, list owners, list objects, /):
        cdef Py_ssize_t number
        self.owners, self.count = owners, len(objects)
        self.objects = <PyObject**> malloc(max(self.count, 1) * sizeof(PyObject*))
        if self.objects == NULL:
            raise MemoryError()
        for number in range(self.count):
            self.objects[number] = <PyObject*> objects[number]

    def __dealloc__(self):
        free(self.objects)

    def is_alone(self):
        """Return whether there is no other reference."""
        cdef Py_ssize_t number
        for number in range(self.count):
            if Py_REFCNT(self.objects[number]) > 1:
                return False
        return True


calls = PyCapsule_New(<void*> CALLS, "_fastconv.replay.calls", NULL)
join_team()
