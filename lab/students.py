"""Students to look into: the one that trains right now and those of stored checkpoints; copies on the CPU.

A page never touches the model that trains. It asks here for a copy, which belongs to no thread and is
never trained; the copy of the live model is made by the training thread between two batches, also while
it is paused.
"""

from __future__ import annotations

from dataclasses import dataclass

from cellnet.inspection import Inspection
from cellnet.interventions import Intervention
from cellnet.model import CellNet

LIVE = "live"


@dataclass(frozen=True)
class Student:
    """A model to look into.

    Attributes:
        model: on the CPU, in evaluation mode; shared between pages, so never change it.
        run: id of its run.
        step: training step it is of.
        live: whether it was copied from the training under way.
        texts: sentences to choose from, held-out ones first; embeddings: theirs, (n, D).
    """

    model: CellNet
    run: str
    step: int
    live: bool


class StudentShelf:
    """Gives out students. Safe to use from any thread; at most a few stay in memory."""

    def get(self, run: str = LIVE, step: int | None = None) -> Student:
        """Return the student of a run and step (``LIVE``: the training under way, or the last one).

        Raises:
            RunError: if there is no such run or checkpoint, or no training yet; it says what to do.
        """
        raise NotImplementedError

    def embed(self, student: Student, texts: tuple[str, ...]) -> object:
        """Return the teacher's embeddings (n, D) of texts; they are cached in memory.

        Raises:
            TeacherError: if the teacher of the student is not there.
        """
        raise NotImplementedError

    def inspect(
        self, student: Student, texts: tuple[str, ...], intervention: Intervention | None = None
    ) -> Inspection:
        """Return what the student does with texts; the last few answers are cached."""
        raise NotImplementedError
