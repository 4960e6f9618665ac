"""The cube of the Train page: the few ways to look at it that a glance needs."""

from typing import Final, Literal

from lab.figures.cube import fields
from lab.figures.cube.cuts import Cut, View, lattice_scene
from lab.figures.cube.films import Film, film
from lab.training import CubeFrame

Coloring = Literal["activity", "change", "channel", "expert"]
COLORINGS: Final[dict[Coloring, str]] = {
    name: fields.COLORINGS[name] for name in ("activity", "change", "channel", "expert")
}


def cube_film(frame: CubeFrame, coloring: Coloring, at: int, channel: int, view: View) -> Film:
    """The cube step by step through a forward pass, at first after lattice step ``at``.

    Args:
        frame: the picture.
        coloring: see `lab.figures.cube.fields.cell_fields`.
        at: 0 is the state in which the sentence came in; change and expert need at least 1.
        channel: for the coloring by one channel.
        view: the whole cube, its half, or its layers apart.
    """
    cut = Cut.at_a_glance(view, frame.dimensions)
    steps = fields.cell_fields(frame, coloring, channel=channel)
    return film(lambda step: lattice_scene(steps[step], cut), min(steps), max(steps), at, name="train")
