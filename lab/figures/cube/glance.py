"""The cube of the Train page: the few ways to look at it that a glance needs."""

from typing import Final, Literal

from lab.figures.cube import fields
from lab.figures.cube.cuts import Cut, lattice_scene
from lab.figures.cube.films import Film, film
from lab.training import CubeFrame

Coloring = Literal["activity", "change", "channel", "expert"]
View = Literal["whole", "cut open", "layers"]
COLORINGS: Final[dict[Coloring, str]] = {
    name: fields.COLORINGS[name] for name in ("activity", "change", "channel", "expert")
}
VIEWS: Final[tuple[View, ...]] = ("whole", "cut open", "layers")


def cube_film(frame: CubeFrame, coloring: Coloring, at: int, channel: int, view: View) -> Film:
    """The cube step by step through a forward pass, at first after lattice step ``at``.

    Args:
        frame: the picture.
        coloring: see `lab.figures.cube.fields.cell_fields`.
        at: 0 is the state in which the sentence came in; change and expert need at least 1.
        channel: for the coloring by one channel.
        view: the whole cube, its half, or its layers apart.
    """
    x, y, z = frame.dimensions
    cuts: dict[View, Cut] = {
        "whole": Cut(),
        "cut open": Cut("box", box=((0, x - 1), (y // 2, y - 1), (0, z - 1))),
        "layers": Cut("layers"),
    }
    steps = fields.cell_fields(frame, coloring, channel=channel)
    return film(
        lambda step: lattice_scene(steps[step], cuts[view]), min(steps), max(steps), at, name="train"
    )
