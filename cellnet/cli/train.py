"""Train a student on sentences, as a run that can be resumed; Ctrl-C stops it with a checkpoint."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from cellnet.cli.main import FAILED, INTERRUPTED
from cellnet.cli.options import add_runs_folder, add_settings, changes_from, settings_from
from cellnet.cli.output import Result, table
from cellnet.cli.progress import EmbeddingProgress, StopOnInterrupt, TrainingProgress, say
from cellnet.device import open_device
from cellnet.errors import RunError
from cellnet.losses import LOSS_NAMES
from cellnet.runs import RunStore
from cellnet.settings import Settings
from cellnet.teacher import EmbeddingCancelled
from cellnet.training import TrainingData, TrainingSession, prepare_data
from cellnet.training.engine import choose_engine
from cellnet.training.session import run_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_runs_folder(parser)
    parser.add_argument("--name", help="a name for the run")
    parser.add_argument(
        "--resume", metavar="RUN", help="go on with a run (its id, the start of it, or 'latest')"
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> Result:
    """Train, and return the figures of the run."""
    with RunStore(arguments.runs) as store, StopOnInterrupt() as interrupt:
        for run_id in store.recover():
            say(f"run {run_id} was interrupted; go on with --resume {run_id}")
        begin = _resume if arguments.resume else _start
        try:
            session = begin(arguments, store, interrupt)
        except EmbeddingCancelled as stopped:
            return Result({"run": None, "state": "stopped"}, str(stopped), INTERRUPTED)
        with session:
            problem = _train(session, interrupt)
        if problem:
            store.set_state(session.run_id, "failed", error=problem)
        summary = store.get(session.run_id).summary
    code = FAILED if problem else INTERRUPTED if interrupt.requested else 0
    return Result(summary, _text(summary), code)


def _start(arguments: argparse.Namespace, store: RunStore, interrupt: StopOnInterrupt) -> TrainingSession:
    settings = settings_from(arguments)
    data = _prepare(settings, interrupt)
    session = TrainingSession.start(store, settings, data, name=arguments.name or "")
    say(f"run {session.run_id}")
    return session


def _resume(arguments: argparse.Namespace, store: RunStore, interrupt: StopOnInterrupt) -> TrainingSession:
    if arguments.preset or arguments.config:
        raise RunError("--resume takes the settings of the run; give what differs as --group.key VALUE")
    changes: dict[str, Any] = changes_from(arguments)
    known = store.get(arguments.resume)
    checkpoints = store.checkpoints(known.id)
    end = changes.get("training.max_steps", known.max_steps)
    if checkpoints and checkpoints[-1].step >= end:
        raise RunError(
            f"run {known.id} has made its {checkpoints[-1].step} steps; give more with --max-steps"
        )
    data = _prepare(run_settings(known, changes), interrupt)
    session = TrainingSession.resume(store, known.id, data, overrides=changes)
    if arguments.name is not None:
        store.update(known.id, name=arguments.name)
    say(f"run {known.id}, from step {session.trainer.step_count}")
    return session


def _prepare(settings: Settings, interrupt: StopOnInterrupt) -> TrainingData:
    choose_engine(settings, open_device(settings))  # fail before the embedding, not after it
    data = prepare_data(settings, progress=EmbeddingProgress(), should_stop=lambda: interrupt.requested)
    if data.report is not None:
        say(data.report.summary)
    return data


def _train(session: TrainingSession, interrupt: StopOnInterrupt) -> str:
    """Train to the end and return what went wrong, or nothing."""
    trainer = session.trainer
    end = trainer.settings.training.max_steps
    progress = TrainingProgress(trainer.step_count, end, session.pca.explained_variance)

    def give_up_on_a_problem(event: object) -> None:
        # Nobody could steer a training that has paused itself, so it stops, with a checkpoint.
        if progress.problem:
            trainer.stop()

    with closing(progress):
        trainer.subscribe(progress)
        trainer.subscribe(give_up_on_a_problem)
        interrupt.on_request = trainer.stop
        if interrupt.requested:
            trainer.stop()
        trainer.train()
    if progress.problem:
        say(progress.problem)
    return progress.problem


def _text(summary: dict[str, Any]) -> str:
    losses = summary["losses"]
    train, validation = losses["train"] or {}, losses["validation"] or {}
    shown = table(
        [(name, train.get(name), validation.get(name)) for name in (*LOSS_NAMES, "total")],
        ("loss", "train", "validation"),
    )
    slow, target = summary["share_of_slow_steps"], summary["target_ms_per_step"]
    pace = [] if slow is None else [(f"steps slower than {target:g} ms", f"{slow:.1%}")]
    figures = table(
        [
            ("run", summary["run"]),
            ("steps", summary["step"]),
            ("explained variance", summary["explained_variance"]),
            ("of PCA", summary["pca_explained_variance"]),
            ("mean cosine", summary["mean_cosine"]),
            ("seconds per step", summary["seconds_per_step"]),
            *pace,
            ("device", summary["device"]),
            ("engine", summary["engine"]),
        ]
    )
    return f"{shown}\n\n{figures}"
