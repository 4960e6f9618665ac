"""Sources of pictures of the cube: the training under way, kept frames, or a student carried on demand."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from cellnet.errors import RunError
from cellnet.inspection import Inspection, inspection_bytes
from cellnet.settings import Settings
from lab.figures.cube.fields import Floats, agreement
from lab.recent import Recent
from lab.sources.students import LIVE, Student, StudentShelf
from lab.training import CubeFrame, TrainingService
from lab.training.frames import FrameStore
from lab.work.work import Answer, Progress, Work, Works

NEWEST: Final = "newest"
_AGREEING: Final = 16
"""Sentences that an agreement is over, if they fit into memory."""
_AGREEMENT_BYTES: Final = 150 * 10**6
MAX_PICTURES: Final = 6


@dataclass(frozen=True)
class Source:
    """The choice of a picture.

    Attributes:
        run: id of a run, or ``LIVE`` for the training under way or the last one of this process.
        step: training step; None for the newest there is.
        text: the sentence that the cube carries; None for the one that pictures were kept of.
    """

    run: str = LIVE
    step: int | None = None
    text: str | None = None

    @property
    def follows(self) -> bool:
        """Whether the picture changes while the training goes on."""
        return self.run == LIVE and self.step is None


@dataclass(frozen=True)
class Reading:
    """A picture, or why there is none yet.

    Attributes:
        frame: the picture.
        notice: what to do to get one; empty if there is one.
    """

    frame: CubeFrame | None = None
    notice: str = ""


class Pictures:
    """Finds pictures for pages.

    Args:
        service: the training and the runs.
        shelf: its students.
        works: does what takes long.
    """

    def __init__(self, service: TrainingService, shelf: StudentShelf, works: Works) -> None:
        self.service = service
        self._shelf = shelf
        self._works = works
        self._lock = threading.Lock()
        self._kept: Recent[tuple[FrameStore, int], CubeFrame] = Recent(
            lambda kept: len(kept) > MAX_PICTURES
        )

    def run_id(self, run: str) -> str | None:
        """Id of a run; of ``LIVE`` None before the first training."""
        return self.service.snapshot().run_id if run == LIVE else run

    def settings(self, run: str) -> Settings | None:
        """Settings of a run; of ``LIVE`` None before the first training."""
        if run == LIVE:
            return self.service.snapshot().settings if self.run_id(LIVE) else None
        return Settings(**self.service.store.get(run).settings)

    def steps(self, source: Source) -> list[int]:
        """Training steps of which there is a picture, or with a sentence of one's own a checkpoint."""
        run_id = self.run_id(source.run)
        if run_id is None:
            return []
        if source.text is None:
            return self.service.frames(run_id).steps()
        return sorted({checkpoint.step for checkpoint in self.service.store.checkpoints(run_id)})

    def texts(self, run: str) -> tuple[str, ...]:
        """Held-out sentences of a run, as far as its data are in memory."""
        settings = self.settings(run)
        data = None if settings is None else self.service.data_of(settings)
        return () if data is None else tuple(data.validation_texts)

    def read(self, source: Source) -> Reading:
        """Return the picture of a source; what takes long is begun and will be there later.

        Raises:
            RunError: if the run or the step does not exist, or a picture is damaged.
        """
        run_id = self.run_id(source.run)
        if run_id is None:
            return Reading(notice=_beginning(self.service))
        if source.text is not None:
            return self._carry(source, source.text)
        if source.follows:
            self.service.watch()
            frame = self.service.snapshot().frame
            return Reading(frame, "" if frame else "The cube appears with the first training step.")
        frames = self.service.frames(run_id)
        steps = frames.steps()
        if not steps:
            return Reading(
                notice="No pictures were kept while this run trained. Type or choose a sentence above, "
                "and its newest checkpoint will carry it."
            )
        return Reading(self._load(frames, steps[-1] if source.step is None else source.step))

    def state(self, source: Source) -> str:
        """Name what `read` returns, and see to it likewise; may be asked outside of any script run."""
        if source.text is not None and self.run_id(source.run) is not None:
            return self._works.state(self._carrying(source, source.text))
        if not source.follows:
            return ""
        self.service.watch()
        frame = self.service.snapshot().frame
        return "" if frame is None else str(frame.number)

    def agreements(self, source: Source) -> Answer[tuple[Floats, int]]:
        """Return the agreement of the cells between held-out sentences after each lattice step.

        Returns:
            An answer whose value is (T + 1, N), and over how many sentences.
        """
        return self._works.follow(self._agreeing(source))

    def agreements_state(self, source: Source) -> str:
        """The same for `agreements` as `state` for `read`."""
        return self._works.state(self._agreeing(source))

    def student(self, source: Source) -> Student:
        """The student of a source; call it where waiting is fine.

        Raises:
            RunError: if there is no checkpoint of that step.
        """
        if source.follows:
            return self._shelf.get(LIVE)
        run_id = self.run_id(source.run)
        if run_id is None:
            raise RunError("no training yet; start one on the page Train, or choose a run")
        step = source.step
        if step is None and (saved := self.service.store.checkpoints(run_id)):
            step = max(checkpoint.step for checkpoint in saved)
        return self._shelf.get(run_id, step)

    def with_texts(self, student: Student) -> Student:
        """The student with the sentences of its run, which are read first if they are not in memory."""
        return student if student.texts else self._shelf.read_texts(student)

    def inspect(self, student: Student, count: int) -> tuple[Inspection, tuple[str, ...]]:
        """Send the first held-out sentences of a student through it; call it where waiting is fine.

        Args:
            student: whose sentences are read first if they are not in memory.
            count: of sentences; fewer are taken of a large cube, but at least two.
        """
        student = self.with_texts(student)
        fitting = max(2, _AGREEMENT_BYTES // inspection_bytes(student.model, 1))
        texts = student.texts[: min(count, fitting)]
        return self._shelf.inspect(student, texts), texts

    def _agreeing(self, source: Source) -> Work[tuple[Floats, int]]:
        key = ("agreement", self.run_id(source.run), source.follows, source.step)
        return Work(key, self._version(source), partial(self._agree, source))

    def _agree(self, source: Source, _: Progress) -> tuple[Floats, int]:
        found, texts = self.inspect(self.student(source), _AGREEING)
        steps = [agreement(found.states[:, step]) for step in range(found.states.shape[1])]
        return np.stack(steps), len(texts)

    def _carrying(self, source: Source, text: str) -> Work[CubeFrame]:
        def carry(_: Progress) -> CubeFrame:
            student = self.student(source)
            return frame_of(self._shelf.inspect(student, (text,)), student.step, text)

        key = ("carry", self.run_id(source.run), source.follows, source.step, text)
        return Work(key, self._version(source), carry)

    def _carry(self, source: Source, text: str) -> Reading:
        answer = self._works.follow(self._carrying(source, text))
        if answer.error:
            return Reading(notice=answer.error)
        waiting = "The cube carries the sentence ..." if answer.value is None else ""
        return Reading(answer.value, waiting)

    def _load(self, frames: FrameStore, step: int) -> CubeFrame:
        """Return a kept picture, read once.

        Raises:
            RunError: if there is none, or its file is damaged.
        """
        with self._lock:
            return self._kept.make((frames, step), lambda: frames.load(step))

    def _version(self, source: Source) -> int:
        """Changes whenever a source is worth reading again."""
        if source.follows:
            return self.service.snapshot().step
        return -1 if source.step is None else source.step


def frame_of(found: Inspection, step: int, text: str) -> CubeFrame:
    """The first sample of an inspection as a picture."""
    return CubeFrame(
        number=step + 1,
        step=step,
        dimensions=found.dimensions,
        states=found.states[0],
        gate=found.gate[0],
        cosine=float(found.cosine[0, -1]),
        text=text,
        seconds=0.0,
    )


def cell_history(frames: FrameStore, steps: tuple[int, ...], cell: int) -> tuple[Floats, tuple[int, ...]]:
    """State of a cell after the last lattice step in each kept picture, (F, C), and those steps."""
    return np.stack([frames.load(step).states[-1, cell] for step in steps]), steps


def _beginning(service: TrainingService) -> str:
    phase = service.snapshot().phase
    if phase.is_active:
        return "The cube appears as soon as the sentences are embedded."
    return "No training yet. Press Start, or choose a run above, to see the cube from inside."
