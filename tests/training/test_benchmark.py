"""The benchmark measures real steps, and its error figures are small where they must be."""

import numpy as np
import pytest

from cellnet.settings import Settings
from cellnet.training.benchmark import measure_error, measure_step_time, random_data


@pytest.fixture
def settings() -> Settings:
    return Settings(
        lattice={
            "dimensions": (4, 4, 4),
            "adaptive_radius_ratio": 0.5,
            "local_distance_ratio": 0.5,
            "functional_distance_ratio": 0.75,
        },
        model={"state_size": 4, "steps": 2},
        embedding={"teacher_width": 24},
        training={"batch_size": 8, "warmup_steps": 0},
    )


def test_random_data_has_few_strong_directions(settings: Settings) -> None:
    data = random_data(settings, 400)
    assert data.train.shape == (300, 24)
    assert data.validation.shape == (100, 24)
    assert data.train.dtype == np.float32
    spectrum = np.linalg.eigvalsh(np.cov(data.train.T))[::-1]
    assert spectrum[:6].sum() > 0.5 * spectrum.sum()
    assert np.array_equal(random_data(settings, 400).train, data.train)


def test_step_times_are_ordered_and_described(settings: Settings) -> None:
    times = measure_step_time(settings, steps=3, warmup=1)
    assert 0.0 < times.fastest_ms <= times.median_ms <= times.slowest_ms
    assert (times.steps, times.batch, times.dimensions) == (3, 8, (4, 4, 4))
    assert times.precision == "float32"
    assert times.engine == "eager"
    assert times.memory["process"] > 10.0
    assert times.as_dict()["median_ms"] == times.median_ms


def test_error_of_float32_is_rounding_and_not_zero(settings: Settings) -> None:
    errors = measure_error(settings)
    assert set(errors) == {"output", "gradient"}
    for value in errors.values():
        assert 1e-9 < value < 1e-5
