"""List, show, describe, delete and restore runs."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import Any

from cellnet.cli.options import add_runs_folder
from cellnet.cli.output import Result, table
from cellnet.errors import RunError
from cellnet.runs import RunRecord, RunStore, open_runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_runs_folder(parser)
    parser.add_argument("--deleted", action="store_true", help="list the runs in the trash")
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "show", "note", "tag", "delete", "restore"),
        help="what to do (%(default)s)",
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="id of the run, the start of it, or 'latest'")
    parser.add_argument("words", nargs="*", metavar="WORD", help="the note, or all tags of the run")


def run(arguments: argparse.Namespace) -> Result:
    """Do what was asked.

    Raises:
        RunError: if the run is missing, unknown or owned by another process.
    """
    with open_runs(arguments.runs) as store:
        store.recover()
        if arguments.action == "list":
            return _listing(store.list(deleted=arguments.deleted))
        if arguments.run is None:
            raise RunError(f"which run? cellnet runs {arguments.action} RUN")
        if arguments.action == "restore":
            store.restore(arguments.run)
            return _done(arguments.run, "restored")
        record = store.get(arguments.run)
        match arguments.action:
            case "show":
                return _details(store, record)
            case "delete":
                store.delete(record.id)
                return _done(record.id, "deleted")
            case "note":
                store.update(record.id, note=" ".join(arguments.words))
                return _done(record.id, "noted")
        store.update(record.id, tags=arguments.words)
        return _done(record.id, "tagged")


def _done(run_id: str, what: str) -> Result:
    return Result({"run": run_id, "done": what}, f"{run_id}: {what}")


def _listing(runs: list[RunRecord]) -> Result:
    rows = [
        (
            run.id,
            run.name or None,
            run.state,
            f"{run.step}/{run.max_steps}",
            run.summary.get("explained_variance"),
            _moment(run.created),
            " ".join(run.tags) or None,
            run.note or None,
        )
        for run in runs
    ]
    header = ("run", "name", "state", "steps", "explained variance", "created", "tags", "note")
    text = table(rows, header) if rows else "no runs"
    return Result({"runs": [_values(run) for run in runs]}, text)


def _values(run: RunRecord) -> dict[str, Any]:
    return {key: value for key, value in asdict(run).items() if key not in ("settings", "process")}


def _details(store: RunStore, run: RunRecord) -> Result:
    checkpoints, changes = store.checkpoints(run.id), store.changes(run.id)
    values = {
        **_values(run),
        "settings": run.settings,
        "checkpoints": [{**asdict(checkpoint), "path": str(checkpoint.path)} for checkpoint in checkpoints],
        "changes": [asdict(change) for change in changes],
    }
    shown = {
        **{key: values[key] for key in ("id", "name", "state", "error", "note", "host", "pid", "parent")},
        "tags": " ".join(run.tags),
        "steps": f"{run.step} of {run.max_steps}",
        "created": _moment(run.created),
        "updated": _moment(run.updated),
        **{key: value for key, value in run.summary.items() if isinstance(value, int | float | str)},
    }
    facts = table([(key, value) for key, value in shown.items() if value not in ("", None)])
    saved = table(
        [(item.step, item.best, f"{item.bytes / 1e6:.1f} MB", str(item.path)) for item in checkpoints],
        ("checkpoint", "best", "size", "folder"),
    )
    live = table(
        [(change.step, change.key, change.old, change.new) for change in changes],
        ("after step", "setting", "old", "new"),
    )
    return Result(values, "\n\n".join([facts, saved, *([live] if changes else [])]))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
