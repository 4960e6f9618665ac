"""Scenes in a row that the browser plays by itself, such as the steps of one forward pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.figures.cube.scenes import Scene

MOST_BYTES: Final = 2_000_000
"""A film that is sent with every picture of a training is at most about this large."""


@dataclass(frozen=True)
class Film:
    """Scenes of one legend.

    Attributes:
        scenes: by number, the one at ``at`` among them. The page is asked for one that is not here when it
            is chosen; only a film that has all of them plays.
        first, last: the numbers to choose from.
        at: the number to show.
        name: films of one name are at the same number and play together.
        word: what the numbers count.
    """

    scenes: Mapping[int, Scene]
    first: int
    last: int
    at: int
    name: str
    word: str = "lattice step"

    @property
    def scene(self) -> Scene:
        """The scene to show."""
        return self.scenes[self.at]


def film(
    draw: Callable[[int], Scene], first: int, last: int, at: int, *, name: str, most: float = MOST_BYTES
) -> Film:
    """Draw all scenes from ``first`` to ``last``; of more than ``most`` bytes only the one at ``at``.

    Args:
        draw: makes the scene of a number.
        first, last, at, name: see `Film`.
        most: bytes, as if each scene had faces of its own.
    """
    chosen = draw(at)
    size = chosen.colors.nbytes + sum(array.nbytes for array in chosen.geometry.arrays().values())
    numbers = range(first, last + 1) if size * (last - first + 1) <= most else (at,)
    scenes = {number: chosen if number == at else draw(number) for number in numbers}
    return Film(scenes, first, last, at, name)
