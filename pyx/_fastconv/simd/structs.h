/* Structs that C leaves take from Python, filled in by field names: structs.pxd has the others. */
#ifndef FASTCONV_STRUCTS_H
#define FASTCONV_STRUCTS_H

typedef struct {
    int kind, height, width, channels, rows, columns, window_rows, window_columns, row_stride,
        column_stride, top, left;
    int relu_input; /* a maximum that is not above 0 has no argmax: a ReLU came before */
} fc_pool;

#endif
