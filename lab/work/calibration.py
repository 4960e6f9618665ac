"""How long a training step takes on this machine, measured when asked, for plans before any training."""

from __future__ import annotations

import threading
from typing import Final

from cellnet.settings import Settings, with_changes
from cellnet.teacher import resolve_teacher
from cellnet.training.benchmark import measure_step_time
from lab.figures.geometry import MeasuredStep

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


class Calibrations:
    """The measured step of each device, threads and precision; one measurement at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[str, int, str], MeasuredStep] = {}

    def get(self, settings: Settings) -> MeasuredStep | None:
        """Return what was measured for the device of these settings."""
        return self._found.get(_key(settings))

    def measure(self, settings: Settings) -> MeasuredStep:
        """Time steps of a small cube on random data, on the device and with the widths of the settings.

        Raises:
            DeviceError: if the device is not there.
            TeacherError: if the teacher that is to tell its width is not there.
        """
        small = resolve_teacher(with_changes(settings, _SIZE))
        with self._lock:
            times = measure_step_time(small, steps=_STEPS, warmup=_WARMUP)
        found = MeasuredStep(
            small,
            times.median_ms / 1000,
            f"a calibration on {times.device} with random data, 8x8x8, batch 8",
        )
        self._found[_key(settings)] = found
        return found


def _key(settings: Settings) -> tuple[str, int, str]:
    return settings.device.device, settings.device.threads, settings.training.precision
