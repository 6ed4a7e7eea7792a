"""A picture of a model's graph, drawn by matplotlib (an extra), or as Graphviz's text."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any

from .._core.files import replacing
from .._core.validation import above_zero, one_of, wrong_value
from .figures import check_ending, require_matplotlib
from .layout import Layout, layout

_LETTER, _LINE = 0.078, 0.165  # inches, of a fixed-width letter of nine points
_MARGIN, _GAP = 0.12, (0.35, 0.35)
_OWNER = "plot_model"


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: float = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Any:
    """Draw the layers of a built model and what each reads.

    A layer that is called several times has a box for each call. In a notebook the picture is
    returned, to be shown.

    Args:
        to_file: where to: .png, .pdf, .svg and what else matplotlib writes, or .dot, the text
            that Graphviz reads, which needs neither of the two. Without an ending, .png.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable:
            what stands in a box besides the layer's class.
        rankdir: "TB" from top to bottom, "BT", "LR" from left to right or "RL".
        expand_nested: draw the layers of models inside this one.
        dpi: dots per inch.

    Raises ValueError for a model that is not built, ImportError without matplotlib:
    `pip install 'fastconv[plot]'`.
    """
    one_of("TB", "BT", "LR", "RL")(rankdir, "rankdir", _OWNER)
    above_zero(dpi, "dpi", _OWNER)
    path = os.fspath(to_file)
    if not os.path.splitext(path)[1]:
        path += ".png"
    if not getattr(model, "built", False):
        raise ValueError(f"{_OWNER}: {model!r} is not built; call build(input_shape) first")
    shown = {
        "names": show_layer_names, "activations": show_layer_activations,
        "shapes": show_shapes, "dtype": show_dtype, "trainable": show_trainable,
    }  # fmt: skip
    drawing = _Drawing(shown, expand_nested)
    drawing.add(model.graph, {})
    if path.endswith((".dot", ".gv")):
        picture = drawing.dot(rankdir).encode()
    else:
        try:
            check_ending(path)
        except ValueError as error:
            raise wrong_value(path, "to_file", _OWNER, f"a picture's or .dot ({error})") from None
        picture = drawing.picture(rankdir, dpi, os.path.splitext(path)[1].removeprefix("."))
    if os.path.dirname(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with replacing(path) as file:
        file.write(picture)
    return _shown(path)


class _Drawing:
    """The boxes, each a list of lines, and the edges between their numbers."""

    def __init__(self, shown: dict[str, bool], expand: bool) -> None:
        self._show, self._expand = shown, expand
        self.boxes: list[list[str]] = []
        self.edges: list[tuple[int, int]] = []

    def add(self, graph: Any, known: dict[Any, int]) -> None:
        """Add a graph; `known` says which box gives a tensor, and learns it of new ones."""
        for node in graph.nodes:
            if all(tensor in known for tensor in node.outputs):
                continue
            inner = getattr(node.layer, "graph", None) if self._expand else None
            if inner is not None and node.inputs:
                mine = {
                    of_graph: known[tensor]
                    for of_graph, tensor in zip(inner.inputs, node.inputs, strict=True)
                }
                self.add(inner, mine)
                for tensor, of_graph in zip(node.outputs, inner.outputs, strict=True):
                    known[tensor] = mine[of_graph]
                continue
            number = len(self.boxes)
            self.boxes.append(self._lines(node))
            self.edges += [(known[tensor], number) for tensor in node.inputs]
            known.update(dict.fromkeys(node.outputs, number))

    def _lines(self, node: Any) -> list[str]:
        layer = node.layer
        lines = [type(layer).__name__]
        if self._show["names"]:
            lines[0] = f"{layer.name} ({lines[0]})"
        activation = getattr(layer, "activation", None)
        if self._show["activations"] and activation is not None:
            lines.append(f"activation: {getattr(activation, 'name', activation)}")
        if self._show["shapes"]:
            if node.inputs:
                lines.append(f"input: {', '.join(str(tensor.shape) for tensor in node.inputs)}")
            lines.append(f"output: {', '.join(str(tensor.shape) for tensor in node.outputs)}")
        if self._show["dtype"]:
            lines.append("float32")
        if self._show["trainable"]:
            lines.append("trainable" if layer.trainable else "not trainable")
        return lines

    def dot(self, rankdir: str) -> str:
        """Return the graph as Graphviz's text."""
        quoted = ("\\n".join(lines).replace('"', '\\"') for lines in self.boxes)
        boxes = [f'    {number} [label="{text}"];' for number, text in enumerate(quoted)]
        edges = [f"    {first} -> {last};" for first, last in dict.fromkeys(self.edges)]
        head = ["digraph model {", f"    rankdir={rankdir};", "    node [shape=box];"]
        return "\n".join([*head, *boxes, *edges, "}", ""])

    def picture(self, rankdir: str, dpi: float, kind: str) -> bytes:
        """Return the picture as a file of `kind`."""
        require_matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        upright = rankdir in ("TB", "BT")
        sizes = {}
        for number, lines in enumerate(self.boxes):
            width = max(map(len, lines)) * _LETTER + 2 * _MARGIN
            height = len(lines) * _LINE + 2 * _MARGIN
            sizes[number] = (width, height) if upright else (height, width)
        placed = layout(sizes, self.edges, _GAP, _MARGIN)
        extent = _Extent(placed, sizes, rankdir)
        figure = Figure(figsize=extent.size, dpi=dpi)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, extent.size[0])
        axes.set_ylim(extent.size[1], 0)  # downwards, as one reads
        self._draw(axes, placed, sizes, extent)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=dpi)
        return file.getvalue()

    def _draw(self, axes: Any, placed: Layout, sizes: dict[int, Any], extent: _Extent) -> None:
        from matplotlib.patches import Rectangle

        for edge, line in zip(dict.fromkeys(self.edges), placed.lines, strict=True):
            ends = [sizes[number][1] / 2 for number in edge]
            line = [
                (line[0][0], line[0][1] + ends[0]), *line[1:-1],
                (line[-1][0], line[-1][1] - ends[1]),
            ]  # fmt: skip
            points = [extent.point(point) for point in line]
            axes.plot(*zip(*points[:-1], strict=True), color="gray", linewidth=0.8, zorder=1)
            style = {"arrowstyle": "-|>", "color": "gray", "linewidth": 0.8, "shrinkA": 0}
            arrow = {**style, "shrinkB": 0}
            axes.annotate("", points[-1], points[-2], arrowprops=arrow, zorder=1)
        for number, lines in enumerate(self.boxes):
            x, y = extent.point(placed.boxes[number])
            width, height = sizes[number] if extent.upright else sizes[number][::-1]
            corner = (x - width / 2, y - height / 2)
            axes.add_patch(Rectangle(corner, width, height, facecolor="white", edgecolor="black"))
            axes.text(
                x, y, "\n".join(lines), ha="center", va="center", fontsize=9,
                family="monospace", parse_math=False,
            )  # fmt: skip


class _Extent:
    """The picture's size in inches, and where in it points of the layout are."""

    def __init__(self, placed: Layout, sizes: dict[int, Any], rankdir: str) -> None:
        self.upright, self._backward = rankdir in ("TB", "BT"), rankdir in ("BT", "RL")
        edges = [
            (placed.boxes[n][0] + sign * sizes[n][0] / 2, placed.boxes[n][1] + sizes[n][1] / 2)
            for n in sizes
            for sign in (-1, 1)
        ]
        across = [point[0] for line in placed.lines for point in line]
        across += [edge[0] for edge in edges]
        self._left = min(across) - _MARGIN
        self._depth = max(edge[1] for edge in edges)
        size = (max(across) + _MARGIN - self._left, self._depth + 2 * _MARGIN)
        self.size = size if self.upright else size[::-1]

    def point(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return (x, y) of a place of the layout."""
        across = place[0] - self._left
        along = (self._depth - place[1] if self._backward else place[1]) + _MARGIN
        return (across, along) if self.upright else (along, across)


def _shown(path: str) -> Any:
    """Return the picture for a notebook, None outside of one."""
    notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if notebook is None or not path.endswith((".png", ".svg")):
        return None
    display = importlib.import_module("IPython.display")
    return display.SVG(path) if path.endswith(".svg") else display.Image(filename=path)
