"""Shapes are checked while the tests run, and in CI a test that was skipped is a failure."""

import os

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

_ANNOTATED = (
    "decoder.network",
    "lattice",
    "losses",
    "student.codec",
    "student.cube",
    "student.experts",
    "student.student",
    "student.surface",
)

install_import_hook([f"cellnet.{name}" for name in _ANNOTATED], "beartype.beartype")

# The tensors of the tests are small: more threads would only wait for each other.
torch.set_num_threads(1)

# How long an example takes says more of the machine than of the code.
settings.register_profile("cellnet", deadline=None)
settings.load_profile("cellnet")

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
