"""The update rules of simd/rules.h for Cython."""

from libc.stddef cimport ptrdiff_t

cdef extern from "simd/rules.h" nogil:
    enum:
        RULE_VALUES "FC_RULE_VALUES"
        RULE_SLOTS "FC_RULE_SLOTS"
        RULE_FIELDS "FC_RULE_FIELDS"
    ctypedef struct Rule "fc_rule":
        int kind
        float rate
        float momentum
        int nesterov
        float first
        float second
        float epsilon
        float scale
        float clip
        float decay
    void apply_rule "fc_rule_apply"(const Rule* rule, float* value, float** slots,
                                    ptrdiff_t start, const float* gradient,
                                    ptrdiff_t count) noexcept


cdef inline Rule rule_from(dict fields):
    """Return the struct of a dict of its fields, all of them and no others."""
    cdef Rule rule = fields
    if len(fields) != RULE_FIELDS:
        raise TypeError(f"the rule has {RULE_FIELDS} fields, not {', '.join(fields)}")
    return rule


cdef inline int slots_from(tuple arrays, ptrdiff_t size, float** slots) except -1:
    """Point `slots` at three flat float32 arrays of `size` values, None giving NULL."""
    cdef float[::1] array
    cdef int position
    for position in range(RULE_SLOTS):
        slots[position] = NULL
        if arrays[position] is not None:
            array = arrays[position]
            if array.shape[0] != size:
                raise ValueError(f"slot {position} has {array.shape[0]} values; there are {size}")
            slots[position] = &array[0]
    return 0
