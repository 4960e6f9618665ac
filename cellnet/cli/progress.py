"""Progress on stderr, and signals that stop a command."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from tqdm import tqdm

from cellnet.training.events import (
    StateEvent,
    StepEvent,
    TrainerEvent,
    TrainerState,
    ValidationEvent,
)


def say(line: str) -> None:
    """Print a line on stderr, above a progress bar if there is one."""
    tqdm.write(line, file=sys.stderr)


class EmbeddingProgress:
    """A progress bar for each set of sentences on a terminal, else a line at its start."""

    unit = " sentences"

    def __init__(self) -> None:
        self._label = ""
        self._bar: tqdm[Any] | None = None

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` sentences are embedded."""
        if label != self._label:
            self._label = label
            if done == total:
                return  # all of them were in the cache
            if not sys.stderr.isatty():
                say(f"{label}: {done} of {total}")
            self._bar = tqdm(total=total, initial=done, desc=label, unit=self.unit, disable=None)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
            if done == total:
                self._bar.close()
                self._bar = None


class StageProgress(EmbeddingProgress):
    """The same for the stages of a longer work, whose units differ."""

    unit = ""


class TrainingProgress:
    """A listener that draws a bar on a terminal and prints a line for each validation.

    Args:
        step, max_steps: where the training stands and ends.
        pca_explained_variance: shown beside the student's.

    Attributes:
        problem: why the training paused by itself, or empty.
    """

    def __init__(self, step: int, max_steps: int, pca_explained_variance: float) -> None:
        self.problem = ""
        self._pca = pca_explained_variance
        self._bar = tqdm(total=max_steps, initial=step, unit=" steps", disable=None)

    def __call__(self, event: TrainerEvent) -> None:
        """Show an event."""
        match event:
            case StepEvent():
                self._bar.update(1)
                self._bar.set_postfix_str(f"loss {event.total:.4f}", refresh=False)
            case ValidationEvent():
                say(
                    f"step {event.step}: validation loss {event.total:.4f}, explained variance "
                    f"{event.measures.explained_variance:.4f} (PCA {self._pca:.4f}), mean cosine "
                    f"{event.measures.mean_cosine:.4f}"
                )
            case StateEvent(state=TrainerState.PAUSED, error=error) if error:
                self.problem = error

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


class StopOnInterrupt:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a wish to stop; the second one aborts.

    A signal that the process was started to ignore, as ``nohup`` does with SIGHUP, stays ignored. For the
    main thread.

    Attributes:
        requested: whether such a signal came.
        on_request: called when the first one comes.
    """

    def __init__(self) -> None:
        self.requested = False
        self.on_request: Callable[[], None] = lambda: None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self.on_request()
        # After a SIGHUP there may be no terminal to write to.
        with suppress(OSError):
            print("\nstopping after this step; press Ctrl-C again to abort", file=sys.stderr)
