"""The process that owns a run, and whether it is alive."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from cellnet.runs.schema import RunRecord


def process_identity(pid: int) -> str | None:
    """Return a text that no other process, earlier or later, shares; None if no process has this pid.

    On Linux it is the boot's id and the clock tick at which the process started, which no change of the
    system's clock can move; elsewhere the time of its start.
    """
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()
        state, started = fields[0], fields[19]
        if state in "ZX":  # ended, only not yet collected by its parent
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{started}"
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None


def this_process() -> tuple[int, str, str]:
    """Return pid, identity and host of the calling process."""
    pid = os.getpid()
    identity = process_identity(pid)
    assert identity is not None
    return pid, identity, socket.gethostname()


def owned_here(run: RunRecord) -> bool:
    """Whether the calling process owns the run."""
    return (run.pid, run.process, run.host) == this_process()


def owner_is_gone(run: RunRecord) -> bool:
    """Whether the run's owner has surely ended; a process of another host cannot be judged."""
    if run.pid is None:
        return True
    return run.host == socket.gethostname() and process_identity(run.pid) != run.process
