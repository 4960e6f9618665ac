"""Time training steps on random data, and compare output and gradient with float64."""

from __future__ import annotations

import argparse

from cellnet.cli.options import add_settings, settings_from
from cellnet.cli.output import Result, table
from cellnet.training.benchmark import measure_error, measure_step_time


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.add_argument("--repeat", type=_count, default=20, metavar="N", help="timed steps (%(default)s)")
    parser.add_argument("--warmup", type=_count, default=5, metavar="N", help="steps before (%(default)s)")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Measure."""
    settings = settings_from(arguments)
    times = measure_step_time(settings, steps=arguments.repeat, warmup=arguments.warmup)
    error = measure_error(settings)
    values = {**times.as_dict(), "error": error}
    text = table(
        [
            ("device", times.device),
            ("precision", times.precision),
            ("engine", times.engine),
            ("batch", times.batch),
            ("lattice", " x ".join(map(str, times.dimensions))),
            ("median step", f"{times.median_ms:.1f} ms"),
            ("fastest, slowest", f"{times.fastest_ms:.1f} ms, {times.slowest_ms:.1f} ms of {times.steps}"),
            *((f"memory, {name}", f"{size:.0f} MB") for name, size in times.memory.items()),
            *((f"error of the {name}", f"{size:.1e}") for name, size in error.items()),
        ]
    )
    return Result(values, text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
