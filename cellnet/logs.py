"""The level of cellnet's log."""

from __future__ import annotations

import logging

from cellnet.settings import Settings


def set_log_level(settings: Settings) -> None:
    """Let cellnet's own loggers report from ``logging.level`` on; handlers are the application's choice."""
    logging.getLogger("cellnet").setLevel(settings.logging.level.upper())
