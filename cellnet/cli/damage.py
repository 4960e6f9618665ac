"""Flags that damage the cube, and what the damage did to a sentence."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any, Final

from cellnet.cli.output import table
from cellnet.errors import SettingsError
from cellnet.inspection import Inspection
from cellnet.inspection.repair import Repair, measure_repair
from cellnet.lattice.geometry import TIERS, Dimensions
from cellnet.lattice.regions import AXES, Range, box_cells, layer_cells, random_cells
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS

_FORMS: Final = "box:2-5,2-5,0-7, layer:z=3 or random:0.1"
_PARTS: Final = ("total", "lesion", "near", "far")


def add_damage(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group(
        "damage", "what is done to the cube; the sentences are then carried with and without it"
    )
    group.add_argument(
        "--lesion",
        action="append",
        default=[],
        metavar="CELLS",
        help=f"cells held at zero: {_FORMS} (a share of all cells); may be given several times",
    )
    for flag, choices, text in (
        ("--silence", tuple(EXPERTS), "drop what this expert proposes"),
        ("--cut", TIERS, "let no cell see its neighbors in this tier"),
    ):
        group.add_argument(
            flag, action="append", default=[], choices=choices, help=f"{text}; may be given several times"
        )
    group.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="X",
        help="standard deviation of noise, relative to the rms of the states, added once",
    )
    group.add_argument(
        "--damage-seed", type=int, default=0, metavar="N", help="of noise and random lesions (%(default)s)"
    )
    group.add_argument(
        "--from-step",
        type=int,
        default=0,
        metavar="T",
        help="first lattice step that the damage acts on, counted from 0 (%(default)s)",
    )
    group.add_argument(
        "--to-step",
        type=int,
        metavar="T",
        help="last lattice step that it acts on; all later ones unless given, so that nothing can heal",
    )


def damage_from(arguments: argparse.Namespace, dimensions: Dimensions, steps: int) -> Intervention:
    """Return the damage that was given as flags, none if there is none.

    Raises:
        SettingsError: if it is impossible for this cube.
    """
    try:
        cells = [parse_lesion(text, dimensions, arguments.damage_seed) for text in arguments.lesion]
        damage = Intervention(
            lesioned=tuple(cell for lesion in cells for cell in lesion),
            silenced=frozenset(arguments.silence),
            cut=frozenset(arguments.cut),
            noise=arguments.noise,
            seed=arguments.damage_seed,
            from_step=arguments.from_step,
            to_step=arguments.to_step,
        )
        damage.check(math.prod(dimensions), steps)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    return damage


def parse_lesion(text: str, dimensions: Dimensions, seed: int = 0) -> tuple[int, ...]:
    """Return the cells of a lesion such as ``box:2-5,2-5,0-7``, ``layer:z=3`` or ``random:0.1``.

    Raises:
        ValueError: if it is none of these, or lies outside the cube.
    """
    match text.partition(":"):
        case "box", _, place if found := re.fullmatch(
            r"(\d+(?:-\d+)?),(\d+(?:-\d+)?),(\d+(?:-\d+)?)", place
        ):
            x, y, z = (_range(part) for part in found.groups())
            return box_cells(dimensions, (x, y, z))
        case "layer", _, place if found := re.fullmatch(r"([xyz])=(\d+)", place):
            axis = next(axis for axis in AXES if axis == found[1])
            return layer_cells(dimensions, axis, int(found[2]))
        case "random", _, place if re.fullmatch(r"\d*\.?\d+", place):
            return random_cells(dimensions, float(place), seed)
    raise ValueError(f"{text!r} names no cells; write {_FORMS}")


def damage_values(intact: Inspection, damaged: Inspection) -> list[dict[str, Any]]:
    """Return what the damage did to each sentence, as plain values."""
    repair = measure_repair(intact, damaged)
    return [
        {
            "cells": len(damaged.intervention.lesioned),
            "cosine": float(damaged.cosine[row, -1]),
            "cosine_per_step": damaged.cosine[row].tolist(),
            "distance_per_step": _distances(repair, row),
            "healed": float(repair.healed[row]),
        }
        for row in range(len(intact.cosine))
    ]


def damage_text(values: dict[str, Any], intact: list[float]) -> str:
    """Return these values for people, beside the cosines (T + 1) of the intact run."""
    distances = values["distance_per_step"]
    rows = [
        (step, intact[step], values["cosine_per_step"][step], *(part[step] for part in distances.values()))
        for step in range(len(intact))
    ]
    header = ("step", "cosine, intact", "damaged", *(f"distance, {name}" for name in distances))
    healed = values["healed"]
    share = "nothing to heal" if math.isnan(healed) else f"healed {healed:.0%} of the greatest distance"
    return f"damage: {values['cells']} cells lesioned, {share}\n{table(rows, header)}"


def _distances(repair: Repair, row: int) -> dict[str, list[float]]:
    parts = {name: getattr(repair, name) for name in _PARTS}
    return {name: part[row].tolist() for name, part in parts.items() if part is not None}


def _range(text: str) -> Range:
    first, _, last = text.partition("-")
    return int(first), int(last or first)
