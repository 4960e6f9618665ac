"""Shapes are checked while the tests run, and in CI a test that was skipped is a failure."""

import os

import pytest
import torch
from hypothesis import settings as hypothesis_settings
from jaxtyping import install_import_hook

_ANNOTATED = (
    "decoder.network",
    "lattice",
    "losses",
    "student.base",
    "student.codec",
    "student.cube",
    "student.experts",
    "student.perceptron",
    "student.student",
    "student.surface",
)

install_import_hook([f"cellnet.{name}" for name in _ANNOTATED], "beartype.beartype")

# The tensors of the tests are small: more threads would only wait for each other.
torch.set_num_threads(1)

# How long an example takes says more of the machine than of the code.
hypothesis_settings.register_profile("cellnet", deadline=None)
hypothesis_settings.load_profile("cellnet")

from cellnet.settings import Settings, preset, with_changes  # noqa: E402 - after the hook


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


_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped and os.environ.get("CELLNET_SKIP_IS_FAILURE"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
