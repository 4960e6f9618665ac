"""Show what settings mean: thresholds, tier populations, empty tiers, reach and parameters."""

from __future__ import annotations

import argparse
from dataclasses import asdict

import torch

from cellnet.cli.options import add_settings, settings_from
from cellnet.cli.output import Result, table
from cellnet.device import describe_device, open_device
from cellnet.lattice.geometry import GeometryReport, geometry_report
from cellnet.settings import Settings
from cellnet.student.student import CellNet
from cellnet.training.engine import choose_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_settings(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Describe the settings; data are not touched, nor is the teacher unless it is to tell its width."""
    settings = settings_from(arguments)
    device = open_device(settings)
    machine = {"device": describe_device(device), "engine": choose_engine(settings, device)}
    report = geometry_report(
        settings.lattice, settings.neighbors.get_distance_thresholds(settings.lattice), settings.model.steps
    )
    model = CellNet(settings)
    counts = model.parameter_counts()
    total = sum(counts.values())
    edge = model.codec.surface_size
    values = {
        "dimensions": settings.lattice.dimensions,
        "cells": settings.lattice.cell_count,
        "state_size": settings.model.state_size,
        "steps": settings.model.steps,
        "boundary": settings.lattice.boundary,
        "max_radius": settings.lattice.max_radius,
        "thresholds": report.thresholds._asdict(),
        "tiers": {tier: asdict(population) for tier, population in report.tiers.items()},
        "empty_tiers": report.empty_tiers,
        "reach": asdict(report.reach),
        "surface": {
            "size": edge,
            "code_width": edge**2,
            "placement": settings.embedding.placement_strategy,
        },
        "codec": settings.embedding.type,
        "teacher": {"name": settings.embedding.teacher, "width": settings.embedding.teacher_width},
        "parameters": {"total": total, "by_module": counts},
        **machine,
        "torch": torch.__version__,
    }
    return Result(values, _text(settings, report, counts, edge, machine))


def _text(
    settings: Settings, report: GeometryReport, counts: dict[str, int], edge: int, machine: dict[str, str]
) -> str:
    cube = " x ".join(map(str, settings.lattice.dimensions))
    facts = table(
        [
            (
                "cube",
                f"{cube} = {settings.lattice.cell_count} cells, {settings.model.state_size} channels each",
            ),
            ("teacher", f"{settings.embedding.teacher}, {settings.embedding.teacher_width} wide"),
            ("surface", f"{edge} x {edge} = code of {edge**2}, {settings.embedding.type} codec"),
            ("reach", _reach(report, settings.model.steps)),
            *machine.items(),
        ]
    )
    rows: list[tuple[object, ...]] = []
    for tier, population in report.tiers.items():
        threshold = getattr(report.thresholds, tier)
        rows.append((tier, threshold, *asdict(population).values()))
    tiers = table(rows, ("tier", "up to", "offsets", "mean", "min", "max", "edges"))
    notices = "".join(
        f"\nThe {tier} tier is empty, so experts that read it see each cell alone: {remedy}."
        for tier, remedy in report.empty_tiers.items()
    )
    parameters = table(
        [*((name, f"{count:,}") for name, count in counts.items()), ("total", f"{sum(counts.values()):,}")],
        ("parameters", ""),
    )
    return f"{facts}\n\n{tiers}{notices}\n\n{parameters}"


def _reach(report: GeometryReport, steps: int) -> str:
    reach = report.reach
    crosses = "crosses the cube" if reach.crosses else "does not cross the cube"
    return (
        f"{reach.per_step:.2f} cells a step, {reach.total:.1f} in {steps} steps: a signal {crosses} "
        f"(edge {reach.edge})"
    )
