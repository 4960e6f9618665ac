"""Which cells lesions take, against loops over coordinates."""

from itertools import product

import numpy as np
import pytest

from cellnet.lattice.regions import box_cells, layer_cells, near_cells, random_cells

DIMENSIONS = (4, 3, 5)
CELLS = list(product(range(4), range(3), range(5)))


def index(x: int, y: int, z: int) -> int:
    return (x * 3 + y) * 5 + z


def test_a_box_has_the_cells_between_its_ends() -> None:
    expected = [index(x, y, z) for x, y, z in CELLS if 1 <= x <= 2 and y == 0 and 3 <= z <= 4]
    assert box_cells(DIMENSIONS, ((1, 2), (0, 0), (3, 4))) == tuple(expected)
    assert box_cells(DIMENSIONS, ((0, 3), (0, 2), (0, 4))) == tuple(range(60))


@pytest.mark.parametrize(
    "box", [((0, 4), (0, 0), (0, 0)), ((0, 0), (2, 1), (0, 0)), ((-1, 0), (0, 0), (0, 0))]
)
def test_a_box_outside_the_cube_is_refused(box: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="there are no cells"):
        box_cells(DIMENSIONS, box)  # type: ignore[arg-type]


@pytest.mark.parametrize(("axis", "place"), [("x", 3), ("y", 1), ("z", 0)])
def test_a_layer_has_the_cells_of_one_coordinate(axis: str, place: int) -> None:
    expected = [index(*cell) for cell in CELLS if cell["xyz".index(axis)] == place]
    assert layer_cells(DIMENSIONS, axis, place) == tuple(expected)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"along {axis}"):
        layer_cells(DIMENSIONS, axis, 9)  # type: ignore[arg-type]


def test_random_shares_are_exact_repeatable_and_nested() -> None:
    few, many = random_cells(DIMENSIONS, 0.1, 7), random_cells(DIMENSIONS, 0.5, 7)
    assert (len(few), len(many)) == (6, 30)
    assert set(few) < set(many)
    assert random_cells(DIMENSIONS, 0.5, 7) == many
    assert random_cells(DIMENSIONS, 0.5, 8) != many
    assert random_cells(DIMENSIONS, 1.0) == tuple(range(60))
    assert random_cells(DIMENSIONS, 0.0) == ()
    with pytest.raises(ValueError, match=r"share of 1\.5"):
        random_cells(DIMENSIONS, 1.5)


@pytest.mark.parametrize("steps", [1, 2])
def test_cells_near_others_are_within_so_many_steps_in_any_direction(steps: int) -> None:
    lesion = (index(0, 0, 0), index(2, 1, 3))
    places = [CELLS[cell] for cell in lesion]
    expected = [
        index(*cell) not in lesion
        and min(max(abs(a - b) for a, b in zip(cell, place, strict=True)) for place in places) <= steps
        for cell in CELLS
    ]
    np.testing.assert_array_equal(near_cells(DIMENSIONS, lesion, steps), expected)
