"""Every coordinate of the surface is held, and what goes in comes out, for all strategies and shapes."""

import itertools

import pytest
import torch

from cellnet.lattice.cells import CellValues
from cellnet.lattice.geometry import coordinates
from cellnet.settings import Settings, with_changes
from cellnet.student.surface import (
    EmbeddingToLatticeMapper,
    LatticeToEmbeddingExtractor,
    Placement,
    place,
    surface_size,
)

PLACEMENTS = ("faces", "face", "edges", "corners", "uniform")
EXTRACTIONS = ("surface_mean", "weighted_surface", "volume_projection")
DIMENSIONS = [
    *itertools.permutations((3, 5, 8)),
    (3, 3, 3),
    (4, 4, 4),
    (8, 8, 8),
    (3, 8, 8),
    (8, 3, 8),
    (5, 4, 9),
]


def make(dimensions: tuple[int, int, int], placement: str, extraction: str = "surface_mean") -> Settings:
    return Settings(
        lattice={"dimensions": dimensions},
        model={"state_size": 5},
        embedding={"placement_strategy": placement, "extraction_strategy": extraction},
    )


def xyz(cell: int, dimensions: tuple[int, int, int]) -> tuple[int, int, int]:
    _, y, z = dimensions
    return cell // (y * z), cell // z % y, cell % z


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("dimensions", DIMENSIONS, ids=str)
def test_every_coordinate_is_held_and_no_cell_twice(
    dimensions: tuple[int, int, int], placement: str
) -> None:
    found = place(make(dimensions, placement))
    middle = sorted(dimensions)[1]
    assert found.size == (min(dimensions[:2]) if placement == "face" else middle)
    assert set(found.coordinate.tolist()) == set(range(found.size**2))
    cells = found.cells.tolist()
    assert cells == sorted(set(cells))
    assert cells[0] >= 0
    assert cells[-1] < dimensions[0] * dimensions[1] * dimensions[2]


@pytest.mark.parametrize("dimensions", DIMENSIONS, ids=str)
def test_strategies_use_the_cells_that_they_name(dimensions: tuple[int, int, int]) -> None:
    last = [length - 1 for length in dimensions]
    everything = [xyz(i, dimensions) for i in range(dimensions[0] * dimensions[1] * dimensions[2])]
    to_face = [sorted(min(a, b - a) for a, b in zip(cell, last, strict=True)) for cell in everything]
    faces = {i for i, gaps in enumerate(to_face) if gaps[0] == 0}
    assert set(place(make(dimensions, "faces")).cells.tolist()) == faces
    assert set(place(make(dimensions, "face")).cells.tolist()) == {
        i for i, cell in enumerate(everything) if cell[2] == 0
    }
    for strategy, axes in (("edges", 2), ("corners", 3)):
        chosen = place(make(dimensions, strategy)).cells.tolist()
        distance = [sum(gap * gap for gap in gaps[:axes]) for gaps in to_face]
        outside = set(range(len(everything))) - set(chosen)
        assert len(chosen) == sorted(dimensions)[1] ** 2
        assert max(distance[i] for i in chosen) <= min(distance[i] for i in outside)
    assert len(set(place(make(dimensions, "uniform")).cells.tolist())) == sorted(dimensions)[1] ** 2


@pytest.mark.parametrize("edge", [8, 16, 37])
def test_a_uniform_surface_fills_the_volume_evenly(edge: int) -> None:
    dimensions = (edge, edge, edge)
    cells = coordinates(dimensions)[place(make(dimensions, "uniform")).cells]
    for axis in range(3):
        counts = cells[:, axis].bincount(minlength=edge)
        assert 0.75 * edge <= counts.min()
        assert counts.max() <= 1.25 * edge
    halves = (2 * cells + 1 > edge).long() @ torch.tensor([4, 2, 1])
    volumes = (2 * coordinates(dimensions) + 1 > edge).long() @ torch.tensor([4, 2, 1])
    share = halves.bincount(minlength=8) / volumes.bincount(minlength=8) * edge
    torch.testing.assert_close(share, torch.ones(8), atol=0.15, rtol=0.0)


def test_a_cubic_face_holds_its_own_coordinates() -> None:
    face = place(make((4, 4, 4), "face"))
    assert [xyz(cell, (4, 4, 4))[:2] for cell in face.cells.tolist()] == [
        divmod(coordinate, 4) for coordinate in face.coordinate.tolist()
    ]


def test_each_face_of_a_cube_holds_every_coordinate_in_an_order_of_its_own() -> None:
    placed = place(make((8, 8, 8), "faces"))
    held = dict(zip(placed.cells.tolist(), placed.coordinate.tolist(), strict=True))
    assert [held[linear] for linear in range(0, 512, 8)] == list(range(64))
    faces = []
    for axis in range(3):
        for side in (0, 7):
            inner = [
                held[cell]
                for cell in range(512)
                if xyz(cell, (8, 8, 8))[axis] == side
                and all(0 < x < 7 for other, x in enumerate(xyz(cell, (8, 8, 8))) if other != axis)
            ]
            assert len(set(inner)) == 36
            faces.append(tuple(inner))
    assert len(set(faces)) == 6
    assert torch.equal(place(make((8, 8, 8), "faces")).coordinate, placed.coordinate)


def test_surface_size() -> None:
    assert surface_size((8, 8, 8), "faces") == 8
    assert surface_size((37, 37, 37), "corners") == 37
    assert surface_size((3, 9, 5), "faces") == 5
    assert surface_size((3, 9, 5), "face") == 3


def untrained(
    settings: Settings,
) -> tuple[Placement, EmbeddingToLatticeMapper, LatticeToEmbeddingExtractor]:
    placement = place(settings)
    return (
        placement,
        EmbeddingToLatticeMapper(settings, placement),
        LatticeToEmbeddingExtractor(settings, placement),
    )


@pytest.mark.parametrize("extraction", EXTRACTIONS)
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("dimensions", [(4, 4, 4), (3, 5, 8), (8, 3, 5), (5, 8, 3), (3, 8, 8)], ids=str)
def test_extraction_gives_back_the_surface(
    dimensions: tuple[int, int, int], placement: str, extraction: str
) -> None:
    placed, mapper, extractor = untrained(make(dimensions, placement, extraction))
    surface = torch.randn(2, placed.size, placed.size)
    with torch.no_grad():
        states = mapper(surface)
        back = extractor(states, states)
    assert back.shape == (2, placed.size, placed.size, 5)
    torch.testing.assert_close(back[..., 0], surface)
    assert not back[..., 1:].any()


def test_each_placed_cell_holds_the_value_of_its_own_coordinate() -> None:
    dimensions = (4, 5, 6)
    placed, mapper, _ = untrained(make(dimensions, "faces"))
    surface = torch.randn(2, placed.size, placed.size)
    with torch.no_grad():
        states = mapper(surface).linear
        moved = mapper(surface + 1.0).linear
    assert states.shape == (2, 120, 5)
    encoding = mapper.positional_encoding.vectors.detach()
    holds = dict(zip(placed.cells.tolist(), range(len(placed.cells)), strict=True))
    free = [cell for cell in range(120) if cell not in holds]
    for cell, place_of in holds.items():
        i, j = divmod(int(placed.coordinate[place_of]), placed.size)
        expected = surface[:, i, j, None] * mapper.lift[place_of].detach() + encoding[place_of]
        torch.testing.assert_close(states[:, cell], expected)
    assert float(encoding[:, 1:].abs().min(dim=1).values.max()) > 0.0
    assert float(encoding[:, 0].abs().max()) == 0.0
    for cell, start in zip(free, mapper.volume.states.detach(), strict=True):
        assert torch.equal(states[0, cell], start)
        assert torch.equal(states[1, cell], start)
        assert torch.equal(moved[0, cell], start)


@pytest.mark.parametrize("extraction", EXTRACTIONS)
def test_extraction_is_the_weighted_sum_over_cells_that_share_a_coordinate(extraction: str) -> None:
    _, _, extractor = untrained(make((4, 5, 3), "faces", extraction))
    with torch.no_grad():
        if extraction != "surface_mean":
            extractor.weight.copy_(torch.randn(len(extractor.weight), 5))
        states, initial = torch.randn(2, 2, 60, 5)
        found = extractor(CellValues.from_linear(states), CellValues.from_linear(initial))
    expected = torch.zeros(2, 4, 4, 5)
    read = torch.cat([states[..., :1], (states - initial)[..., 1:]], dim=-1)
    for cell, coordinate, weight in zip(
        extractor.cells.tolist(), extractor.coordinate.tolist(), extractor.weight.detach(), strict=True
    ):
        expected[:, coordinate // 4, coordinate % 4] += weight * read[:, cell]
    torch.testing.assert_close(found, expected)
    trained = {name for name, _ in extractor.named_parameters()}
    assert trained == (set() if extraction == "surface_mean" else {"weight"})
    assert len(extractor.cells) == (
        60 if extraction == "volume_projection" else len(place(make((4, 5, 3), "faces")).cells)
    )


def test_a_whole_surface_is_lifted_onto_each_placed_cell_and_channel_0_stays_its_own_value() -> None:
    settings = with_changes(make((4, 5, 6), "faces"), {"embedding.lifting_strategy": "whole_surface"})
    placed, mapper, _ = untrained(settings)
    assert mapper.mixture is not None
    surface = torch.randn(2, placed.size, placed.size)
    with torch.no_grad():
        states = mapper(surface).linear[:, placed.cells]
        values = surface.flatten(1)
        own = values[:, placed.coordinate, None] * mapper.lift + mapper.positional_encoding.vectors
        mixture = mapper.mixture.weight.unflatten(0, (len(placed.cells), 4))
        for batch in range(2):
            torch.testing.assert_close(states[batch, :, 1:], own[batch, :, 1:] + mixture @ values[batch])
    torch.testing.assert_close(states[..., 0], values[:, placed.coordinate])
