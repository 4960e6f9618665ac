"""Carry single sentences through the cube: what goes in, what happens, what comes out."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch

from cellnet.cli.damage import add_damage, damage_from, damage_text, damage_values
from cellnet.cli.options import add_model_source, add_setting_flags, changes_from
from cellnet.cli.output import Result, table
from cellnet.cli.progress import EmbeddingProgress
from cellnet.decoder import GenerativeDecoder, Match, TextDecoder
from cellnet.device import open_device
from cellnet.inspection import FloatArray, Inspection, inspect
from cellnet.runs.loading import LoadedDecoder, load_decoder, load_model
from cellnet.settings import Settings, with_changes
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS
from cellnet.student.student import CellNet
from cellnet.teacher import Teacher
from cellnet.training import prepare_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser)
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="sentences")
    parser.add_argument(
        "--decoder",
        metavar="FOLDER",
        help="also write each sentence from its embedding, with the decoder in this folder that cellnet "
        "train-decoder wrote; 'auto' takes the one of the run or export, as does --decoder.mode generative",
    )
    add_damage(parser)
    add_setting_flags(
        parser,
        "device.device",
        "data.source",
        "data.cache_dir",
        "embedding.teacher",
        "embedding.refinement_steps",
        "decoder.mode",
        "decoder.top_k",
        "decoder.beams",
        "decoder.length_penalty",
    )


@torch.no_grad()
def run(arguments: argparse.Namespace) -> Result:
    """Probe."""
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    settings = with_changes(loaded.settings, changes_from(arguments))
    damage = damage_from(arguments, settings.lattice.dimensions, settings.model.steps)
    device = open_device(settings)
    model = loaded.model.to(device).refining(settings.embedding.refinement_steps)
    teacher = Teacher.load(settings.embedding, device)
    writer = None
    if arguments.decoder is not None or settings.decoder.mode == "generative":
        writer = load_decoder(
            loaded, arguments.decoder or "auto", device, teacher_fingerprint=teacher.fingerprint
        )
    decoder = _decoder(settings, device)
    taught = teacher.encode(arguments.texts)
    intact = inspect(model, taught)
    answers = intact.readouts[:, -1]
    nearest = {"student": decoder.decode(answers), "teacher": decoder.decode(taught)}
    probes: list[dict[str, Any]] = [
        {
            "text": text,
            "cosine": float(intact.cosine[row, -1]),
            "cosine_per_step": intact.cosine[row].tolist(),
            "relative_change_per_step": intact.relative_change[row].tolist(),
            "gate_mass": dict(zip(EXPERTS, intact.gate[row].mean(axis=(0, 1)).tolist(), strict=True)),
            "surface": _surfaces(intact, row),
            "nearest": {who: [_match(match) for match in matches[row]] for who, matches in nearest.items()},
        }
        for row, text in enumerate(arguments.texts)
    ]
    if not damage.is_none:
        _add_damage(probes, model, intact, damage, decoder)
    if writer is not None:
        given = {"student": answers, "teacher": taught}
        _add_written(probes, writer.decoder, settings, given, teacher)
    values = {
        "model": loaded.name,
        "run": loaded.run,
        "step": loaded.step,
        "decoder": None if writer is None else _describe_writer(writer),
        "probes": probes,
    }
    head = loaded.name
    if writer is not None and not writer.same_student:
        head += f"\nthe decoder in {writer.folder} was trained for another student"
    return Result(values, f"{head}\n\n" + "\n\n".join(map(_text, probes)))


def _add_written(
    probes: list[dict[str, Any]],
    writer: GenerativeDecoder,
    settings: Settings,
    given: dict[str, FloatArray],
    teacher: Teacher,
) -> None:
    """Add the sentence that search finds for each embedding, and the candidate that comes nearest to it."""
    options = settings.decoder
    for who, embeddings in given.items():
        sentences = writer.write(embeddings, beams=options.beams, length_penalty=options.length_penalty)
        nearest = writer.write_nearest(
            embeddings, teacher.encode, found=[written.text for written in sentences]
        )
        for probe, written, near in zip(probes, sentences, nearest, strict=True):
            texts = {"text": written.text, "score": written.score, "nearest": near}
            probe.setdefault("written", {})[who] = texts


def _describe_writer(writer: LoadedDecoder) -> dict[str, Any]:
    return {
        "folder": str(writer.folder),
        "trained_for": writer.decoder.facts.get("student"),
        "same_student": writer.same_student,
    }


def _add_damage(
    probes: list[dict[str, Any]],
    model: CellNet,
    intact: Inspection,
    damage: Intervention,
    decoder: TextDecoder,
) -> None:
    """Carry the sentences again through the damaged cube, and add the effect of the damage."""
    damaged = inspect(model, intact.teacher, damage, surfaces=intact.surface_in)
    matches = decoder.decode(damaged.readouts[:, -1])
    for row, (probe, values) in enumerate(zip(probes, damage_values(intact, damaged), strict=True)):
        probe["damage"] = {**values, "intact_cosine_per_step": intact.cosine[row].tolist()}
        probe["nearest"]["damaged student"] = [_match(match) for match in matches[row]]


def _decoder(settings: Settings, device: torch.device) -> TextDecoder:
    """Make a decoder whose bank is all sentences of the training, held-out ones too."""
    data = prepare_data(settings, with_variants=False, progress=EmbeddingProgress())
    bank = np.concatenate([data.train, data.validation])
    return TextDecoder((*data.train_texts, *data.validation_texts), bank, settings.decoder, device)


def _match(match: Match) -> dict[str, Any]:
    return {"text": match.text, "cosine": match.score}


def _surfaces(intact: Inspection, row: int) -> dict[str, Any]:
    """Describe the code that goes in and channel 0 of the surface read out, each (n, n)."""
    given, read = intact.surface_in[row], intact.surface_out[row, ..., 0]
    return {
        "in": _describe(given),
        "out": _describe(read),
        "correlation": float(np.corrcoef(given.ravel(), read.ravel())[0, 1]),
    }


def _describe(surface: FloatArray) -> dict[str, Any]:
    return {
        "mean": float(surface.mean()),
        "deviation": float(surface.std(ddof=1)),
        "min": float(surface.min()),
        "max": float(surface.max()),
        "values": surface.tolist(),
    }


def _text(probe: dict[str, Any]) -> str:
    steps = table(
        [
            (step, cosine, change)
            for step, (cosine, change) in enumerate(
                zip(probe["cosine_per_step"], [None, *probe["relative_change_per_step"]], strict=True)
            )
        ],
        ("step", "cosine", "relative change"),
    )
    surface = probe["surface"]
    keys = ("mean", "deviation", "min", "max")
    surfaces = table(
        [(name, *(surface[name][key] for key in keys)) for name in ("in", "out")], ("surface", *keys)
    )
    gate = ", ".join(f"{name} {mass:.3f}" for name, mass in probe["gate_mass"].items())
    nearest = "\n".join(
        f"nearest to the {who}\n" + table([(f"{match['cosine']:.3f}", match["text"]) for match in matches])
        for who, matches in probe["nearest"].items()
    )
    if "written" in probe:
        nearest += "\nwritten\n" + table(
            [
                (f"from the {who}, {kind}", item[key])
                for who, item in probe["written"].items()
                for kind, key in (("most probable", "text"), ("nearest", "nearest"))
            ]
        )
    damage = ""
    if "damage" in probe:
        damage = damage_text(probe["damage"], probe["damage"]["intact_cosine_per_step"]) + "\n"
    return (
        f"{probe['text']}\ncosine of student and teacher {probe['cosine']:.4f}\n{steps}\n"
        f"{surfaces}\ncorrelation of in and out {surface['correlation']:.3f}\n"
        f"gate {gate}\n{damage}{nearest}"
    )
