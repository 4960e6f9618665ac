"""Prove that the lattice computes, on a trained student or, without RUN, on a fresh one."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import asdict

import torch
from torch import Tensor

from cellnet.cli.main import FAILED
from cellnet.cli.options import add_model_source, add_settings, changes_from, settings_from
from cellnet.cli.output import Result
from cellnet.cli.progress import EmbeddingProgress, say
from cellnet.errors import SettingsError
from cellnet.proof import Proof, prove
from cellnet.runs.loading import load_model
from cellnet.settings import Settings, with_changes
from cellnet.student.student import CellNet
from cellnet.training import prepare_data
from cellnet.training.benchmark import random_data

_LARGE_CUBE = 4096
_LINE = 110
_FIXED = ("device.", "data.", "embedding.teacher")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser, nargs="?")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Run all proofs."""
    if arguments.model is None:
        model, embeddings, name = _fresh(settings_from(arguments))
    else:
        model, embeddings, name = _trained(arguments)
    proofs = prove(model, embeddings, progress=lambda proof: say(f"proving: {proof}"))
    passed = all(proof.passed is not False for proof in proofs)
    values = {"model": name, "passed": passed, "proofs": [asdict(proof) for proof in proofs]}
    verdict = "all proofs hold" if passed else "NOT PROVEN"
    text = f"{name}\n\n{_lines(proofs)}\n\n{verdict}"
    return Result(values, text, 0 if passed else FAILED)


def _fresh(settings: Settings) -> tuple[CellNet, Tensor, str]:
    rows = _rows(settings)
    return CellNet(settings), torch.from_numpy(random_data(settings, 4 * rows).train[:rows]), "fresh model"


def _trained(arguments: argparse.Namespace) -> tuple[CellNet, Tensor, str]:
    changes = changes_from(arguments)
    if arguments.preset or arguments.config or any(not key.startswith(_FIXED) for key in changes):
        raise SettingsError(
            "a trained student is proven with its own settings; only --data, --device and settings of "
            "data and embedding.teacher can be given with RUN"
        )
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    settings = with_changes(loaded.settings, changes)
    data = prepare_data(settings, with_variants=False, progress=EmbeddingProgress())
    rows = data.validation[: _rows(settings)]
    return loaded.model, torch.tensor(rows), loaded.name


def _rows(settings: Settings) -> int:
    """Return how many sentences the proofs use; the float64 states of large cubes take much memory."""
    return 4 if settings.lattice.cell_count > _LARGE_CUBE else 32


def _lines(proofs: list[Proof]) -> str:
    words = {True: "proven", False: "FAILED", None: "-"}
    width = max(len(proof.name) for proof in proofs)
    return "\n".join(
        textwrap.fill(
            proof.detail,
            width=_LINE,
            initial_indent=f"{proof.name:<{width}}  {words[proof.passed]:<6}  ",
            subsequent_indent=" " * (width + 10),
        )
        for proof in proofs
    )
