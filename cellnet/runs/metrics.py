"""Metrics in the database: one row per run, phase and step."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from cellnet.errors import RunError
from cellnet.runs.schema import PHASES, Phase

MetricRow: TypeAlias = tuple[int, Phase, Mapping[str, float]]


def insert_metrics(connection: sqlite3.Connection, run: int, rows: Iterable[MetricRow]) -> int:
    """Write rows of (step, phase, values) and return the largest step; a step logged twice is merged."""
    last = 0
    name_keys: dict[tuple[str, ...], int] = {}
    for step, phase, values in rows:
        if phase not in PHASES or step < 0:
            raise RunError(
                f"step {step}, phase {phase!r}: use a step from 0 and one of {', '.join(PHASES)}"
            )
        written = _insert(connection, run, step, phase, values, name_keys)
        if not written:
            stored = _stored(connection, run, step, phase)
            connection.execute(
                "DELETE FROM metric WHERE run = ? AND phase = ? AND step = ?", (run, phase, step)
            )
            _insert(connection, run, step, phase, {**stored, **values}, name_keys)
        last = max(last, step)
    return last


def read_metrics(
    connection: sqlite3.Connection,
    run: int,
    phase: Phase | None,
    names: Sequence[str] | None,
    from_step: int | None,
) -> pd.DataFrame:
    """Read a run's metrics as described in `RunStore.metrics`."""
    lists: dict[int, list[str]] = {}
    parts: list[pd.DataFrame] = []
    for one_phase in PHASES if phase is None else (phase,):
        rows = connection.execute(
            "SELECT names, step, data FROM metric WHERE run = ? AND phase = ? AND step >= ? ORDER BY step",
            (run, one_phase, from_step or 0),
        )
        by_names: dict[int, tuple[list[int], list[bytes]]] = {}
        for key, step, data in rows:
            steps, blobs = by_names.setdefault(key, ([], []))
            steps.append(step)
            blobs.append(data)
        for key, (steps, blobs) in sorted(by_names.items()):
            if key not in lists:
                (text,) = connection.execute(
                    "SELECT names FROM metric_names WHERE key = ?", (key,)
                ).fetchone()
                lists[key] = json.loads(text)
            values = np.frombuffer(b"".join(blobs), dtype="<f8").reshape(len(steps), len(lists[key]))
            part = pd.DataFrame(values, columns=lists[key])
            part.insert(0, "phase", one_phase)
            part.insert(0, "step", np.asarray(steps, dtype=np.int64))
            parts.append(part)
    table = pd.concat(parts, ignore_index=True) if parts else _empty()
    table = table.sort_values("step", kind="stable", ignore_index=True)
    return table if names is None else table.reindex(columns=["step", "phase", *names])


def read_latest(connection: sqlite3.Connection, phase: Phase) -> dict[str, tuple[int, dict[str, float]]]:
    """Read the newest metrics of every run as described in `RunStore.latest`."""
    rows = connection.execute(
        "SELECT last.id, metric.step, metric_names.names, metric.data FROM (SELECT id, key, "
        "(SELECT max(step) FROM metric WHERE metric.run = run.key AND phase = :phase) AS step "
        "FROM run WHERE deleted = 0) AS last "
        # CROSS JOIN keeps the order, so that each run costs a look-up and not a scan of its metrics.
        "CROSS JOIN metric ON metric.run = last.key AND metric.phase = :phase AND metric.step = last.step "
        "CROSS JOIN metric_names ON metric_names.key = metric.names",
        {"phase": phase},
    )
    return {run: (step, _unpacked(text, data)) for run, step, text, data in rows}


def _empty() -> pd.DataFrame:
    return pd.DataFrame({"step": np.empty(0, dtype=np.int64), "phase": np.empty(0, dtype=str)})


def _insert(
    connection: sqlite3.Connection,
    run: int,
    step: int,
    phase: Phase,
    values: Mapping[str, float],
    name_keys: dict[tuple[str, ...], int],
) -> bool:
    names = tuple(values)
    if names not in name_keys:
        text = json.dumps(names)
        connection.execute("INSERT INTO metric_names (names) VALUES (?) ON CONFLICT DO NOTHING", (text,))
        (name_keys[names],) = connection.execute(
            "SELECT key FROM metric_names WHERE names = ?", (text,)
        ).fetchone()
    cursor = connection.execute(
        "INSERT INTO metric VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (run, phase, step, name_keys[names], struct.pack(f"<{len(names)}d", *values.values())),
    )
    return cursor.rowcount == 1


def _stored(connection: sqlite3.Connection, run: int, step: int, phase: Phase) -> dict[str, float]:
    text, data = connection.execute(
        "SELECT metric_names.names, data FROM metric JOIN metric_names ON metric_names.key = metric.names "
        "WHERE run = ? AND phase = ? AND step = ?",
        (run, phase, step),
    ).fetchone()
    return _unpacked(text, data)


def _unpacked(names: str, data: bytes) -> dict[str, float]:
    listed = json.loads(names)
    return dict(zip(listed, struct.unpack(f"<{len(listed)}d", data), strict=True))
