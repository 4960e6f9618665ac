import pytest

from cellnet.settings import Settings, preset, with_changes


@pytest.fixture
def settings() -> Settings:
    return with_changes(
        preset("quickstart"),
        {
            "lattice.dimensions": (5, 5, 5),
            "lattice.adaptive_radius_ratio": 0.35,
            "model.state_size": 8,
            "model.steps": 3,
            "embedding.teacher_width": 32,
        },
    )
