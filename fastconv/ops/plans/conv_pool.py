"""Convolution + bias + ReLU + 2x2 max pooling of fixed shapes, as one operation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..._core import runtime
from ..._core.geometry import Shape, conv2d_window
from . import choice
from .convolution import described
from .direct import DirectPlan
from .direct_costs import dot_products
from .direct_tables import DirectTables, taps_of
from .kernel_gradient import SPLIT_K, SPLIT_K_BYTES
from .packing import PackedKernel, pad_channels, padded_bias
from .pooling import Pool2DPlan
from .scratch import Scratch
from .select import Problem, wanted
from .structs import padded_image, struct

WEIGHT_BLOCK_BYTES = 48 * 1024
"""Weights that the input gradient walks at a time: long walks pay for some from the L2 cache.  It
and the next are fixed, as they decide the groups of sums."""
LIST_BYTES = 24 * 1024
"""Pixels that the kernel gradient lists at a time: they should be near while filters pass by."""
PART_WINDOWS = 512
"""Windows that are worth a part of the kernel gradient of its own."""
PART_FILTERS = 16
"""Filters of a task of the kernel gradient, at least."""
BLOCK_ROWS = 8
"""Rows of the input gradient that one task owns, at least."""
LIST_WINDOWS = (32, 512)
"""Windows that the kernel gradient lists at a time, however large or small their pixels are."""


class ConvPoolPlan:
    """max_pool2d(relu(conv2d(x, kernel, bias)), 2), without the full-size activation but where its
    few filters are cheaper as dot products.

    The pooling is 2x2 with stride 2; an odd last row or column of the convolution is
    dropped, as "valid" pooling does.  Groups and dilation are 1.
    """

    def __init__(
        self,
        input_shape: Shape,
        kernel_shape: Shape,
        *,
        strides: Any = 1,
        padding: Any = "valid",
        dtype: Any = np.float32,
        owner: str = "conv2d",
    ) -> None:
        window, _ = conv2d_window(input_shape, kernel_shape, strides, padding, owner=owner)
        self.output_shape = (
            input_shape[0],
            window.rows.output // 2,
            window.columns.output // 2,
            kernel_shape[3],
        )
        if 0 in self.output_shape[1:3]:
            raise ValueError(
                f"{owner}: its output {(window.rows.output, window.columns.output)} is too small "
                "for 2x2 pooling"
            )
        self._input_shape, self._kernel_shape, self._window = input_shape, kernel_shape, window
        self._images, self._height = input_shape[:2]
        self._dtype = np.dtype(dtype)
        self._itemsize: int = self._dtype.itemsize
        self._kernels = runtime.kernels_of(self._dtype)
        self._sparse = self._kernels.sparse
        self._lanes = pad_channels(1, self._dtype)
        self._scratch = Scratch(dtype)
        self._line = kernel_shape[1] * kernel_shape[2]
        self._padded_line = pad_channels(self._line, self._dtype)
        self._plan_forward()
        self._plan_backward()

    def _plan_forward(self) -> None:
        """Choose the output's algorithm; the backward pass reads the direct one's image."""
        _, rows, columns, filters = self.output_shape
        source = self._input_shape[1:]
        row_taps, column_taps = (taps_of(axis) for axis in self._window)
        options: dict[str, Any] = {
            "grid": (2 * rows, 2 * columns),
            "strides": (self._window.rows.stride, self._window.columns.stride),
        }
        unpooled = (2 * rows, 2 * columns, filters)
        self._forward = tables = DirectTables(
            source, unpooled, row_taps, column_taps, kernels=self._kernels, **options
        )
        self._padded_filters = pad_channels(filters, self._dtype)
        size = self._padded_filters * len(tables.taps) * source[2]
        problem = Problem(self._input_shape, self._kernel_shape, self._window, 1, self._dtype)
        by_name = wanted().get("output")
        self._output = choice.output(problem, pooled=True, wanted=by_name)
        self._unpooled = None
        runs = self._kernel_shape[0]
        if self._output.plan is None and dot_products(
            filters, tables.run_length, runs, self._dtype, pooled=True, wanted=by_name
        ):
            # The whole activation, where its few filters would leave vectors idle.
            shape = (self._images, *unpooled)
            self._pooling = Pool2DPlan("max", shape, relu_input=True, dtype=self._dtype)
            self._unpooled = DirectPlan(
                self._images,
                source,
                unpooled,
                row_taps,
                column_taps,
                self._kernel_shape,
                1,
                self._scratch,
                self._dtype,
                limit=math.inf,
                wanted="dot_products",
                **options,
            )
            size = self._unpooled.packed_size
        self._packed = PackedKernel(size, self._dtype)

    def _plan_backward(self) -> None:
        kernel_rows, _, channels, filters = self._kernel_shape
        tables = self._forward
        self._pooled = struct(
            "ConvPool",
            rows=self.output_shape[1],
            columns=self.output_shape[2],
            filters=filters,
            kernel_rows=kernel_rows,
            line=self._line,
            row_stride=tables.rows.stride,
            column_stride=tables.columns.stride,
            channels=channels,
        )
        # The backward pass reads and writes whole vectors, past a kernel row's end too: where
        # that is not whole vectors itself, it works in a padded copy that has room for them.
        self._in_place = tables.in_place and self._line == self._padded_line
        before = tables.rows.before, tables.columns.before
        source = self._input_shape[1:]
        self._image = padded_image(source, before, tables.columns.padded, self._in_place)
        self._line_step = source[1] * source[2] if self._in_place else tables.line
        self._list_rows = self._plan_lists()
        self._weight_block, self._block_filters = self._plan_weight_block()
        self._sums = filters * kernel_rows * self._padded_line
        self._split_k, self._part_filters = self._plan_parts()

    def _plan_lists(self) -> int:
        """Return how many rows of windows are listed at a time; lay out their offsets."""
        _, rows, columns, _ = self.output_shape
        down = self._window.rows.stride * self._line_step
        right = self._window.columns.stride * self._kernel_shape[2]
        fitting = LIST_BYTES // (2 * down * self._itemsize)
        least, most = -(-LIST_WINDOWS[0] // columns), LIST_WINDOWS[1] // columns
        listed = max(1, min(rows, max(fitting, least), most))
        origin = 2 * down * np.arange(listed)[:, None] + 2 * right * np.arange(columns)
        self._origin = origin.ravel().astype(np.int32)
        self._shift = np.array([0, right, down, down + right], np.int32)
        return listed

    def _plan_parts(self) -> tuple[int, int]:
        """Return the kernel gradient's parts, each with private sums, and a task's filters.

        Clearing and adding up sums costs each part the same: few windows make one part, whose
        tasks have few filters each.
        """
        images, rows, columns, filters = self.output_shape
        blocks = -(-filters // PART_FILTERS)
        parts = max(images * rows * columns // PART_WINDOWS, -(-SPLIT_K // blocks))
        most = min(images * rows, SPLIT_K, SPLIT_K_BYTES // (self._sums * self._itemsize))
        parts = max(1, min(parts, most))
        blocks = min(blocks, -(-SPLIT_K // parts))
        return parts, -(-filters // (blocks * PART_FILTERS)) * PART_FILTERS

    def _plan_weight_block(self) -> tuple[bytes, int]:
        """Return the input gradient's (kernel rows, taps, vectors) of a walk, and its filters.

        Under kernels of stride 1, 3 or 5 wide, whose pixels are whole vectors, dx rolls
        through the registers; of the shapes that fit them, the one with the fewest walks over
        the filters' bits, and of equals the smallest.
        """
        kernel_rows, kernel_columns, channels, filters = self._kernel_shape
        blocks = [(1, 1, min(self._sparse.WEIGHT_BLOCK, self._padded_line // self._lanes))]
        whole = channels % self._lanes == 0
        if whole and kernel_columns in (3, 5) and self._window.columns.stride == 1:
            blocks = [
                (rows, kernel_columns, vectors)
                for rows in ((1, 3) if kernel_rows == kernel_columns == 3 else (1,))
                for vectors in range(1, self._sparse.WEIGHT_BLOCK // kernel_columns + 1)
                if vectors * self._lanes <= channels
                and rows * (kernel_columns + 1) * vectors <= self._sparse.ROLL
            ]

        def size(block: tuple[int, int, int]) -> int:
            return math.prod(block) * self._lanes * self._itemsize

        def fitting(block: tuple[int, int, int]) -> int:
            most = self._sparse.MASK_FILTERS
            return max(1, min(filters, WEIGHT_BLOCK_BYTES // size(block), most))

        def cost(block: tuple[int, int, int]) -> tuple[int, int]:
            stretch = self._padded_line if block[1] == 1 else channels
            parts = -(-stretch // (block[2] * self._lanes))
            walks = -(-filters // fitting(block)) * kernel_rows // block[0] * parts
            return walks, fitting(block) * size(block)

        block = min(blocks, key=cost)
        lines, taps, vectors = block
        return struct("WeightBlock", lines=lines, taps=taps, vectors=vectors), fitting(block)

    def forward(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        out: np.ndarray,
        argmax: np.ndarray | None,
    ) -> None:
        """Write the pooled output; `argmax` (uint8, like out) takes what `backward` needs."""
        if not out.size:
            return
        if self._output.plan is not None:
            self._output.plan.forward(x, kernel, bias, out, argmax)
            return
        if self._unpooled is not None:
            self._pool_after(self._unpooled, x, kernel, bias, out, argmax)
            return
        tables, threads = self._forward, runtime.get_num_threads()
        packed = self._packed(kernel, self._pack)
        start = padded_bias(self._scratch, bias, self._padded_filters)
        rows = -(-tables.task_rows(self._images, threads, self._itemsize) // 2)
        self._kernels.fused.forward(
            x,
            packed,
            start,
            out,
            argmax,
            tables.run_offset,
            tables.image,
            self._pooled,
            tables.run_length,
            rows,
            self._scratch.rows("rows of x", threads, tables.scratch_size(2 * rows)),
            threads,
        )

    def _pool_after(
        self,
        unpooled: DirectPlan,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        out: np.ndarray,
        argmax: np.ndarray | None,
    ) -> None:
        images, rows, columns, filters = self.output_shape
        y = self._scratch("activation", images, 2 * rows, 2 * columns, filters)
        start = padded_bias(self._scratch, bias, unpooled.padded)
        unpooled.run(x, self._packed(kernel, unpooled.pack), start, y)
        self._pooling.forward(y, out, argmax)
        if argmax is not None:
            # Pooling has another number for the inactive.
            np.minimum(argmax, self._sparse.INACTIVE, out=argmax)

    def _pack(self, kernel: np.ndarray, packed: np.ndarray) -> None:
        threads = runtime.get_num_threads()
        self._kernels.conv.pack(kernel, packed, self._forward.taps, 1, False, threads)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return, by direction, the algorithm taken, the costs of what competed, and its sizes."""
        output = described(self._output, (self._unpooled,) if self._unpooled else ())
        if self._output.plan is None and self._unpooled is None:
            output |= {"algorithm": "panels"}
        return {
            "output": output,
            "input_gradient": {
                "algorithm": "sparse",
                "filters_of_a_weight_block": self._block_filters,
                "image": "in place" if self._in_place else "padded copy",
            },
            "kernel_gradient": {
                "algorithm": "sparse",
                "rows_of_a_list": self._list_rows,
                "split_k": self._split_k,
                "filters_of_a_task": self._part_filters,
            },
        }

    def backward(
        self,
        dy: np.ndarray,
        argmax: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        """Write the gradients for dy at the pooled output; dx and dbias may be None."""
        if not dy.size:
            for gradient in (dx, dkernel, dbias):
                if gradient is not None:
                    gradient.fill(0)
            return
        self._kernel_gradient(dy, argmax, x, dkernel, dbias)
        if dx is not None:
            self._input_gradient(dy, argmax, kernel, dx)

    def _kernel_gradient(
        self,
        dy: np.ndarray,
        argmax: np.ndarray,
        x: np.ndarray,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
    ) -> None:
        threads = runtime.get_num_threads()
        kernel_rows, _, _, filters = self._kernel_shape
        parts, block = self._split_k, self._part_filters
        padded = (
            (2 * self._list_rows - 1) * self._window.rows.stride + kernel_rows
        ) * self._line_step
        capacity = self._list_rows * self.output_shape[2] + self._sparse.LIST_ROOM
        self._sparse.kernel_gradient(
            x,
            dy,
            argmax,
            self._origin,
            self._shift,
            self._scratch("sums", parts, self._sums),
            self._scratch("bias sums", parts, filters),
            self._image,
            self._pooled,
            block,
            self._list_rows,
            self._scratch.rows(
                "rows", threads, 1 if self._in_place else padded + self._padded_line
            ),
            self._scratch.rows("offsets", threads, block * (capacity + 1), dtype=np.int32),
            self._scratch.rows("gradients", threads, block * capacity),
            dkernel,
            dbias,
            threads,
        )

    def _input_gradient(
        self, dy: np.ndarray, argmax: np.ndarray, kernel: np.ndarray, dx: np.ndarray
    ) -> None:
        threads = runtime.get_num_threads()
        kernel_rows, _, _, filters = self._kernel_shape
        # A batch of one is cut into row blocks; each walks the windows at its edges again.
        blocks = max(1, min(4 * threads // self._images, self._height // BLOCK_ROWS))
        task_rows = -(-self._height // blocks)
        room = 1 if self._in_place else task_rows * self._line_step + 16 * self._lanes
        self._sparse.input_gradient(
            dy,
            argmax,
            kernel,
            dx,
            self._scratch("weights", filters * kernel_rows * self._padded_line),
            self._image,
            self._pooled,
            self._weight_block,
            self._block_filters,
            task_rows,
            self._scratch.rows("image", threads, room),
            self._scratch.rows("masks", threads, 4 * self.output_shape[2], dtype=np.uint64),
            threads,
        )
