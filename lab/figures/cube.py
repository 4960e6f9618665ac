"""The cube while it carries a sentence: scenes, from frames."""

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from lab.colors import EXPERT_COLORS
from lab.scenes import ClipBox, Scene, Spacing, category_scene, scalar_scene, visible_cells
from lab.training import CubeFrame

Coloring = Literal["activity", "change", "channel", "expert"]
View = Literal["whole", "cut open", "layers"]
COLORINGS: Final[dict[Coloring, str]] = {
    "activity": "Activity",
    "change": "Change",
    "channel": "Channel",
    "expert": "Expert",
}
VIEWS: Final[tuple[View, ...]] = ("whole", "cut open", "layers")
_LAYER_GAP: Final[Spacing] = (0.0, 0.0, 1.2)


def cube_scene(frame: CubeFrame, coloring: Coloring, at: int, channel: int, view: View) -> Scene:
    """The cube after lattice step ``at``; the ends of a ramp are the same for all steps of the frame.

    A ramp goes from the 1st to the 99th percentile, so that a single cell does not take all the contrast.

    Args:
        coloring: activity (root mean square of a cell's state), change in the step, one channel, or the
            expert with the largest weight in the step.
        at: 0 is the state in which the sentence came in; change and expert need at least 1.
        channel: for the coloring by one channel.
        view: the whole cube, its half, or its layers apart.
    """
    dimensions = frame.dimensions
    explode: Spacing | float = _LAYER_GAP if view == "layers" else 0.0
    clip = _half(dimensions) if view == "cut open" else None
    if coloring == "expert":
        visible = visible_cells(dimensions, clip=clip)
        codes = frame.gate[at - 1].argmax(axis=-1)
        label = "expert with the largest weight"
        return category_scene(
            dimensions, codes, EXPERT_COLORS, label=label, visible=visible, explode=explode
        )
    values, label, colormap = _values(frame.states, coloring, channel)
    shown = values[at - 1] if coloring == "change" else values[at]
    low, high = (float(end) for end in np.percentile(values, (1, 99)))
    if coloring == "channel":
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return scalar_scene(
        dimensions, shown, label=label, colormap=colormap, limits=(low, high), clip=clip, explode=explode
    )


def _values(
    states: npt.NDArray[np.float32], coloring: Coloring, channel: int
) -> tuple[npt.NDArray[np.float32], str, str]:
    if coloring == "channel":
        return states[:, :, channel], f"channel {channel}", "berlin"
    if coloring == "change":
        return _rms(np.diff(states, axis=0)), "change in this step (rms)", "magma"
    return _rms(states), "activity (rms of the state)", "viridis"


def _rms(states: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    root: npt.NDArray[np.float32] = np.sqrt(np.square(states).mean(axis=-1))
    return root


def _half(dimensions: tuple[int, int, int]) -> ClipBox:
    x, y, z = dimensions
    return (0, x - 1), (y // 2, y - 1), (0, z - 1)
