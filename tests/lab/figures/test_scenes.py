"""Exposed faces, colors and clipping, against PyVista's own surface extraction and by hand."""

import itertools

import numpy as np
import pytest
import pyvista as pv
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lab.figures.colors import COLORMAPS, EXPERT_COLORS, color_table
from lab.figures.cube.scenes import (
    MAX_FACES,
    build_geometry,
    category_scene,
    face_corners,
    quantize,
    rgb_scene,
    scalar_scene,
    visible_cells,
)


@pytest.mark.parametrize(("edge", "faces"), [(1, 6), (8, 6 * 64), (37, 6 * 1369)])
def test_a_full_cube_shows_its_outside_only(edge: int, faces: int) -> None:
    assert build_geometry((edge, edge, edge)).cells.size == faces


def test_a_non_cubic_cube_shows_its_outside_only() -> None:
    geometry = build_geometry((2, 3, 5))
    assert geometry.cells.size == 2 * (2 * 3 + 3 * 5 + 2 * 5)
    assert np.bincount(geometry.sides).tolist() == [15, 15, 10, 10, 6, 6]


@given(hnp.arrays(np.bool_, st.tuples(*[st.integers(1, 5)] * 3)))
@settings(max_examples=60)
def test_a_face_is_drawn_exactly_where_a_visible_cell_meets_none(solid: np.ndarray) -> None:
    x_size, y_size, z_size = solid.shape
    expected = set()
    for x, y, z in itertools.product(range(x_size), range(y_size), range(z_size)):
        if not solid[x, y, z]:
            continue
        for side in range(6):
            neighbor = [x, y, z]
            neighbor[side // 2] += 1 if side % 2 else -1
            inside = all(0 <= at < size for at, size in zip(neighbor, solid.shape, strict=True))
            if not inside or not solid[tuple(neighbor)]:
                expected.add(((x * y_size + y) * z_size + z, side))
    geometry = build_geometry((x_size, y_size, z_size), solid.reshape(-1))
    drawn = list(zip(geometry.cells.tolist(), geometry.sides.tolist(), strict=True))
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == expected
    assert geometry.shown == solid.sum()


def test_faces_are_those_that_pyvista_extracts() -> None:
    dimensions = (4, 5, 6)
    visible = np.random.default_rng(1).random(120) < 0.6
    grid = pv.ImageData(dimensions=(5, 6, 7))
    order = np.arange(120).reshape(dimensions).ravel(order="F")
    kept = grid.extract_cells(np.flatnonzero(visible[order]))
    surface = kept.extract_surface(algorithm="dataset_surface")
    geometry = build_geometry(dimensions, visible)
    assert geometry.cells.size == surface.n_cells
    centers = np.round(face_corners(geometry).mean(axis=1) * 2).astype(int)
    theirs = np.round(surface.cell_centers().points * 2).astype(int)
    assert sorted(map(tuple, centers.tolist())) == sorted(map(tuple, theirs.tolist()))


def test_corners_turn_counter_clockwise_seen_from_outside() -> None:
    geometry = build_geometry((1, 1, 1))
    corners = face_corners(geometry)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 1])
    outward = corners.mean(axis=1) - 0.5
    np.testing.assert_allclose(normals, outward * 2)


def test_layers_that_stand_apart_show_the_faces_between_them() -> None:
    geometry = build_geometry((3, 3, 3), explode=(0.0, 0.0, 1.0))
    assert geometry.cells.size == 4 * 9 + 2 * 27
    assert face_corners(geometry).max(axis=(0, 1)).tolist() == [3.0, 3.0, 5.0]


def test_a_view_too_large_for_a_browser_is_refused_with_the_way_out() -> None:
    assert MAX_FACES < 6 * 41**3
    with pytest.raises(ValueError, match="explode along one axis only"):
        build_geometry((41, 41, 41), explode=0.5)


def test_the_key_tells_geometries_apart() -> None:
    full = build_geometry((3, 3, 3))
    assert build_geometry((3, 3, 3)).key == full.key
    hollow = np.ones(27, dtype=bool)
    hollow[0] = False
    others = [
        build_geometry((3, 3, 3), hollow),
        build_geometry((3, 3, 4)),
        build_geometry((3, 3, 3), explode=1.0),
    ]
    assert len({full.key, *(other.key for other in others)}) == 4


def test_threshold_and_clip_box_include_both_ends() -> None:
    values = np.arange(27.0)
    shown = visible_cells((3, 3, 3), values, threshold=(3, 20), clip=((0, 1), (1, 2), (2, 2)))
    cells = [(x * 3 + y) * 3 + 2 for x in (0, 1) for y in (1, 2)]
    assert np.flatnonzero(shown).tolist() == [cell for cell in cells if 3 <= cell <= 20]


@pytest.mark.parametrize("clip", [((-1, 1), (0, 1), (0, 1)), ((2, 1), (0, 1), (0, 1))])
def test_an_impossible_clip_box_is_refused(clip: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="0 <= first <= last"):
        visible_cells((3, 3, 3), clip=clip)  # type: ignore[arg-type]


def test_quantize_spans_the_limits_and_clamps_beyond() -> None:
    values = np.array([-9.0, 0.0, 0.5, 1.0, 9.0])
    assert quantize(values, 0.0, 1.0).tolist() == [0, 0, 128, 255, 255]
    assert quantize(np.full(3, 7.0), 7.0, 7.0).tolist() == [128, 128, 128]


def test_every_face_has_the_color_of_its_cell() -> None:
    values = np.random.default_rng(0).normal(size=60)
    scene = scalar_scene((3, 4, 5), values, label="norm", unit="a.u.")
    geometry = scene.geometry
    expected = np.rint((values - values.min()) / np.ptp(values) * 255)
    assert scene.colors.tolist() == expected[geometry.cells].tolist()
    assert (scene.legend.low, scene.legend.high) == (values.min(), values.max())
    assert scene.table is not None
    assert scene.table.shape == (256, 3)


def test_a_number_that_is_not_finite_is_an_error_that_names_the_cell() -> None:
    values = np.zeros(8)
    values[5] = np.nan
    with pytest.raises(ValueError, match="not a finite number in 1 cells, first in cell 5"):
        scalar_scene((2, 2, 2), values, label="norm")


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"need shape \(8,\)"):
        scalar_scene((2, 2, 2), np.zeros(9), label="norm")
    with pytest.raises(ValueError, match=r"need shape \(8, 3\)"):
        rgb_scene((2, 2, 2), np.zeros(8), label="components")


def test_rgb_and_categories() -> None:
    rgb = np.zeros((8, 3))
    rgb[0] = [1.0, 0.5, 2.0]
    scene = rgb_scene((2, 2, 2), rgb, label="components")
    assert scene.colors[scene.geometry.cells == 0].tolist() == [[255, 128, 255]] * 3
    kinds = category_scene((2, 2, 2), np.arange(8) % 3, EXPERT_COLORS, label="expert")
    assert kinds.table is not None
    assert kinds.table[0].tolist() == [0x00, 0x72, 0xB2]
    assert kinds.legend.names == ("local", "functional", "distant")
    with pytest.raises(ValueError, match="codes 0 to 3 for 3 colors"):
        category_scene((2, 2, 2), np.arange(8) % 4, EXPERT_COLORS, label="expert")


def test_sequential_ramps_get_lighter_all_the_way() -> None:
    for name in ("viridis", "cividis", "magma", "inferno"):
        luminance = color_table(name) @ [0.2126, 0.7152, 0.0722]
        assert (np.diff(luminance) > -1.0).all(), name
    assert all(color_table(name).shape == (256, 3) for name in COLORMAPS)
    with pytest.raises(ValueError, match="use one of viridis"):
        color_table("jet")
