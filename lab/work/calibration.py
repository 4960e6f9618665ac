"""The time of a training step on this machine, measured on request, for plans before any training."""

from __future__ import annotations

from typing import Final

from cellnet.settings import Settings, with_changes
from cellnet.teacher import resolve_teacher
from cellnet.training.benchmark import measure_step_time
from lab.figures.geometry import MeasuredStep, machine
from lab.work.work import Lane, Progress, Work

SECONDS: Final = 5
"""About how long a calibration takes on two cores."""
_STEPS: Final = 8
_WARMUP: Final = 2
_SIZE: Final = {
    "lattice.dimensions": (8, 8, 8),
    "lattice.boundary": "open",
    "lattice.adaptive_radius_ratio": 0.22,
    "lattice.local_distance_ratio": 0.6,
    "lattice.functional_distance_ratio": 0.85,
    "lattice.distant_distance_ratio": 1.0,
    "training.batch_size": 8,
    "training.accumulation_steps": 1,
    "embedding.type": "linear",
    "chunker.calibrate": False,
}


def calibration(settings: Settings) -> Work[MeasuredStep]:
    """Time steps of a small cube on random data, on the device and with the widths of the settings.

    It fails with a `DeviceError` if the device is not there, and with a `TeacherError` if the teacher whose
    width is asked for is not.
    """

    def measure(_: Progress) -> MeasuredStep:
        small = resolve_teacher(with_changes(settings, _SIZE))
        times = measure_step_time(small, steps=_STEPS, warmup=_WARMUP)
        source = f"a calibration on {times.device} with random data, 8x8x8, batch 8"
        return MeasuredStep(small, times.median_ms / 1000, source)

    return Work(("calibration", machine(settings)), 0, measure, Lane("calibration"))
