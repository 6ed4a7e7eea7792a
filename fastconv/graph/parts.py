"""How many images of a batch go through a network together in prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .graph import Program
from .replay import is_replayable
from .stages import Stage

#: Of what a stage reads and writes for the images of a batch that go through the network together:
#: it stays in the CPU's caches.  Measured on a Zen 5 with 1 MB of L2 a core over four networks.
IMAGES_BYTES = 6 * 2**20

#: With fewer, batches go through whole: the chapter's models lose up to a sixth in parts.
LEAST_STAGES = 12


def images_together(stages: Sequence[Stage], program: Program) -> int:
    """Return the most images whose tensors stay in caches from one stage to the next.

    0 where all had better go together: where they may depend on one another, as a user's layer
    sees them all; where weights would have to be read again and again; where stages are few, and
    little is passed on from one to another; and where sizes are not known.
    """
    weights = sum(4 * p.size for layer in program.layers for p in layer.weights)
    few = len(stages) < LEAST_STAGES or weights > IMAGES_BYTES
    if few or not all(map(is_replayable, stages)):
        return 0
    sizes = [0 if None in shape[1:] else 4 * math.prod(shape[1:]) for shape in program.shapes]
    most = [sum(sizes[slot] for slot in (*stage.inputs, stage.output)) for stage in stages]
    known = all(sizes[slot] for stage in stages for slot in (*stage.inputs, stage.output))
    return max(1, IMAGES_BYTES // max(most)) if known else 0
