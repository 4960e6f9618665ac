"""The values that were used last."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key; once they are too many, those that were used longest ago are forgotten.

    It has no lock: whoever shares it between threads has one.

    Args:
        too_many: whether so many values are too many, or too large.
        stays: whether a value may not be forgotten now.
    """

    def __init__(
        self,
        too_many: Callable[[Collection[Value]], bool],
        stays: Callable[[Value], bool] = lambda _: False,
    ) -> None:
        self._values: dict[Key, Value] = {}
        self._too_many = too_many
        self._stays = stays

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, which counts as used; None if there is none."""
        if key not in self._values:
            return None
        value = self._values[key] = self._values.pop(key)
        return value

    def set(self, key: Key, value: Value) -> None:
        """Keep a value as the one used last, and forget what is too much."""
        self._values.pop(key, None)
        self._values[key] = value
        for oldest in list(self._values):
            if not self._too_many(self._values.values()):
                break
            if not self._stays(self._values[oldest]):
                del self._values[oldest]

    def make(self, key: Key, make: Callable[[], Value]) -> Value:
        """Return the value of a key, which is made and kept if there is none."""
        value = self.get(key)
        if value is None:
            value = make()
            self.set(key, value)
        return value

    def values(self) -> list[Value]:
        """Return all values, the one used last at the end."""
        return list(self._values.values())
