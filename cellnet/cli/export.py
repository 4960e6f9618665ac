"""Write a student as a folder for `CellNet.from_pretrained`, or its whole checkpoint as one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellnet.checkpoints import pack
from cellnet.cli.options import add_model_source
from cellnet.cli.output import Result
from cellnet.errors import CheckpointError
from cellnet.runs.loading import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder, or with --archive a new file")
    parser.add_argument(
        "--archive", action="store_true", help="one zip file with all that is needed to go on training"
    )


def run(arguments: argparse.Namespace) -> Result:
    """Export."""
    out: Path = arguments.out
    if out.exists():
        raise CheckpointError(f"{out} exists already; give a new name")
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    if not arguments.archive:
        loaded.model.save_pretrained(out)
    elif loaded.checkpoint is None:
        raise CheckpointError(f"{loaded.name} is no checkpoint of a training, so it cannot be an archive")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        pack(loaded.checkpoint, out)
    size = sum(file.stat().st_size for file in ([out] if out.is_file() else out.iterdir()))
    values = {
        "model": loaded.name,
        "run": loaded.run,
        "step": loaded.step,
        "out": str(out),
        "archive": arguments.archive,
        "bytes": size,
    }
    return Result(values, f"{loaded.name} written to {out} ({size / 1e6:.1f} MB)")
