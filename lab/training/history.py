"""Metrics that grow while pages read them: appended by one thread, read by any without a copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_FIRST_CAPACITY = 1024


@dataclass(frozen=True)
class Rows:
    """The content of a history when it was read.

    Attributes:
        steps: (n,) int64, read-only.
        values: (n, k) float64, one column per name, read-only; NaN where a step had no value.
        names: the k names.
    """

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """The values (n,) of one name."""
        column: npt.NDArray[np.float64] = self.values[:, self.names.index(name)]
        return column

    def last(self, name: str) -> float | None:
        """The newest value of a name; None if there is none yet."""
        return float(self.values[-1, self.names.index(name)]) if len(self.steps) else None


class History:
    """Rows of (step, values) in the order in which they happened.

    Rows are only ever appended, and a full array is replaced by a larger copy, so that what `read` gave out
    never changes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._count = 0
        self._steps = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._values = np.empty((_FIRST_CAPACITY, len(self.names)), dtype=np.float64)

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Add one row; names that are missing are NaN, other names are ignored."""
        if self._count == len(self._steps):
            self._steps = np.concatenate([self._steps, np.empty_like(self._steps)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._steps[self._count] = step
        self._values[self._count] = [values.get(name, np.nan) for name in self.names]
        self._count += 1

    def read(self) -> Rows:
        """All rows so far."""
        steps, values = self._steps[: self._count], self._values[: self._count]
        steps.flags.writeable = values.flags.writeable = False
        return Rows(steps, values, self.names)
