# The types of values that a level's modules take, of which setup.py chooses one of two files.

ctypedef fused real:
    float
    double

ctypedef double widest

cdef enum:
    HAS_FLOAT64 = 1
