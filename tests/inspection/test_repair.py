"""Distances between an intact and a damaged run, and what damage costs, against written-out sums."""

import numpy as np
import pytest
import torch
from test_inspection import embeddings, make

from cellnet.inspection import inspect
from cellnet.inspection.repair import (
    cell_difference,
    damage_costs,
    explained_variance,
    healed_share,
    measure_repair,
    usual_damages,
)
from cellnet.student.damage import Intervention

LESION = (21, 22)
NEIGHBORS = [
    (x * 4 + y) * 4 + z
    for x in range(3)
    for y in range(3)
    for z in range(4)
    if (x * 4 + y) * 4 + z not in LESION
]
"""Cell 21 is (1, 1, 1) and cell 22 is (1, 1, 2): their neighbors have x and y of 0 to 2."""


def test_distances_are_relative_norms_in_total_and_near_and_far() -> None:
    model, rows = make(), embeddings(3)
    intact = inspect(model, rows)
    damaged = inspect(model, rows, Intervention(lesioned=LESION, from_step=1, to_step=1))
    found = measure_repair(intact, damaged)
    a, b = intact.states.astype(np.float64), damaged.states.astype(np.float64)
    far = [cell for cell in range(64) if cell not in (*LESION, *NEIGHBORS)]
    for name, cells in {"total": range(64), "lesion": LESION, "near": NEIGHBORS, "far": far}.items():
        part = list(cells)
        expected = [
            [
                np.sqrt(((a[i, t, part] - b[i, t, part]) ** 2).sum() / (a[i, t, part] ** 2).sum())
                for t in range(4)
            ]
            for i in range(3)
        ]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-6, atol=1e-9)
    assert (found.total[:, 0] == 0).all()
    np.testing.assert_array_equal(found.lesion[:, 1:3], 1.0)  # type: ignore[index]
    np.testing.assert_allclose(found.healed, 1 - found.total[:, -1] / found.total.max(axis=1))


def test_without_a_lesion_there_is_no_near_and_far() -> None:
    model, rows = make(), embeddings(2)
    intact = inspect(model, rows)
    noisy = measure_repair(intact, inspect(model, rows, Intervention(noise=0.5)))
    assert (noisy.lesion, noisy.near, noisy.far) == (None, None, None)
    # The noise has the rms of half the states, up to its own sampling error.
    np.testing.assert_allclose(noisy.total[:, 0], 0.5, rtol=0.1)
    same = measure_repair(intact, intact)
    assert (same.total == 0).all()
    assert np.isnan(same.healed).all()
    with pytest.raises(ValueError, match="the same sentences"):
        measure_repair(intact, inspect(model, rows[:1]))


def test_a_lesion_of_everything_leaves_nothing_near_or_far() -> None:
    model, rows = make(), embeddings(2)
    damaged = inspect(model, rows, Intervention(lesioned=tuple(range(64))))
    found = measure_repair(inspect(model, rows), damaged)
    assert (found.near, found.far) == (None, None)
    np.testing.assert_array_equal(found.total, 1.0)
    np.testing.assert_array_equal(found.healed, 0.0)


def test_healed_is_the_share_of_the_worst_that_is_gone() -> None:
    distance = np.array([[0.0, 0.8, 0.2], [0.1, 0.2, 0.4], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(healed_share(distance), [0.75, 0.0, np.nan])


def test_differences_of_cells_are_rms_over_channels() -> None:
    a, b = np.zeros((1, 2, 2), np.float32), np.array([[[3, 4], [0, 2]]], np.float32)
    np.testing.assert_allclose(cell_difference(a, b), [[np.sqrt(12.5), np.sqrt(2)]])


def test_costs_are_lost_explained_variance() -> None:
    model, rows = make(), embeddings(70)
    target = torch.from_numpy(rows).double()
    spread = float((target - target.mean(dim=0)).square().sum())

    def explained(what: Intervention | None) -> float:
        with torch.no_grad():
            answer = model(torch.from_numpy(rows), intervention=what, stop_early=False).embeddings
        return 1 - float((answer - target).square().sum()) / spread

    damages = usual_damages((4, 4, 4))
    costs = damage_costs(model, rows, damages)
    assert list(costs)[0::3] == ["silence local", "cut local", "lesion 5%"]
    assert len(damages["lesion 20%"].lesioned) == 13
    for name in ("silence distant", "cut functional", "lesion 20%"):
        assert costs[name] == pytest.approx(explained(None) - explained(damages[name]), rel=1e-4)
    assert explained_variance(model, rows) == pytest.approx(explained(None), rel=1e-5)
