"""Every error cellnet raises on purpose; the message always says what to do next."""

from collections.abc import Mapping


class CellnetError(Exception):
    """Base of all deliberate errors, so that a front end can show them without a traceback."""


class SettingsError(CellnetError, ValueError):
    """A setting is unknown, of the wrong type or impossible.

    Attributes:
        problems: ``{"group.key": what is wrong and what would be right}``; the key is empty for a
            problem that belongs to no single setting.
    """

    def __init__(self, message: str = "", *, problems: Mapping[str, str] | None = None) -> None:
        self.problems: dict[str, str] = dict(problems or {"": message})
        super().__init__(
            "\n".join(f"{key}: {text}" if key else text for key, text in self.problems.items())
        )


class DataError(CellnetError):
    """A data source is missing, malformed or too small for what was asked of it."""


class TeacherError(CellnetError):
    """The teacher encoder is missing, altered or does not match the settings."""


class CheckpointError(CellnetError):
    """A checkpoint is missing, incomplete, too large or does not match the model."""


class RunError(CellnetError):
    """A run is unknown, already owned by another process or in the wrong state for the command."""


class DeviceError(CellnetError):
    """The requested device does not exist on this machine or cannot do what the settings ask."""


class TrainingError(CellnetError):
    """Training cannot go on: a loss is undefined for the batch, or a value is no longer finite."""
