"""A run as one HTML file that opens without a server: ``python -m lab.files.report RUN -o report.html``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

import cellnet
from cellnet.errors import CellnetError
from cellnet.inspection import inspect
from cellnet.runs import (
    ChangeRecord,
    CheckpointRecord,
    RunRecord,
    RunStore,
    choose_checkpoint,
    open_runs,
)
from cellnet.runs.loading import load_model
from cellnet.settings import EmbeddingSettings, Settings, to_toml
from cellnet.teacher import Teacher
from lab.figures.colors import SPLIT_COLORS
from lab.figures.curves import step_marks
from lab.figures.runs import METRICS, SPLITS, RunCurves, RunStyle, figures_of, overlay_panels
from lab.figures.series import Mark, Panel, thin
from lab.figures.words import tier_report
from lab.files.stills import cube_image
from lab.training import Probe
from lab.widgets.markup import facts_markup, table_markup, tier_markup

SENTENCE: Final = "Return the length of the list."
"""What the cube carries in the picture, unless another sentence is given."""
_POINTS: Final = 2000
_SMOOTHING: Final = 10
_COLUMNS: Final = 3
_DOTS: Final = 80
_BESIDE: Final = 2
"""The first sections stand beside each other where the window is wide enough."""
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
"""Lets the browser refuse every request: all that the report shows is in the file."""
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #17212b; background: #fff; max-width: 1200px;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
.sub { color: #5b6873; margin: .2rem 0 1rem; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 1rem 3rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .22rem .35rem; border-bottom: 1px solid #dbe2e8; }
th { font-weight: 400; color: #5b6873; } :is(th, td):first-child { text-align: left; }
ol { font-size: .88rem; }
td i { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .45em; }
pre { background: #f3f6f8; padding: 1rem; border-radius: 6px; overflow-x: auto; font-size: .8rem; }
img { max-width: min(100%, 720px); } summary { cursor: pointer; } q { font-style: italic; }
"""


def html_report(store: RunStore, run_id: str, probe: Probe | None = None) -> str:
    """Everything there is to say about a run, as one HTML file that asks nobody for anything.

    Args:
        store: where the run is.
        run_id: a run, a unique prefix, or "latest".
        probe: a sentence that the best checkpoint carries, for the picture of the cube; without it the
            report has none.

    Raises:
        RunError: if there is no such run, or a picture is wanted and the run has no checkpoint.
        CheckpointError: if the checkpoint is damaged.
        ValueError: if the embedding of the sentence has another width than the student's teacher.
    """
    run = store.get(run_id)
    settings = Settings(**run.settings)
    changes = store.changes(run.id)
    parts = {
        "Figures": _figures(store, run),
        "Geometry": _geometry(settings),
        "Curves": _curves(store, run, step_marks(changes)),
        "Live changes": _changes(changes),
        "The cube": "" if probe is None else _cube(store, run, probe),
        "Checkpoints": _checkpoints(store.checkpoints(run.id)),
        "Settings": f"<details><summary>As TOML</summary><pre>{escape(to_toml(settings))}</pre></details>",
        "Report": facts_markup(environment()),
    }
    sections = [f"<section><h2>{title}</h2>{part}</section>" for title, part in parts.items() if part]
    body = f'<div class="sides">{"".join(sections[:_BESIDE])}</div>{"".join(sections[_BESIDE:])}'
    title = escape(run.name or run.id)
    facts = " · ".join(escape(fact) for fact in (run.id, _moment(run.created), *run.tags))
    note = f"<p>{escape(run.note)}</p>" if run.note else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f'<body><h1>{title}</h1><p class="sub">{facts}</p>{note}{body}</body></html>'
    )


def teacher_probe(settings: EmbeddingSettings, text: str) -> Probe:
    """Embed a sentence with the teacher of a run.

    Raises:
        TeacherError: if the teacher is not there.
    """
    embedding = Teacher.load(settings, torch.device("cpu")).encode([text])
    return Probe(text, np.asarray(embedding, dtype=np.float32))


def environment() -> dict[str, str]:
    """What wrote the report."""
    return {
        "written": time.strftime("%Y-%m-%d %H:%M"),
        "cellnet": cellnet.__version__,
        "PyTorch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
    }


def _figures(store: RunStore, run: RunRecord) -> str:
    return facts_markup(figures_of(run, store.latest("train"), store.latest("validation")))


def _curves(store: RunStore, run: RunRecord, marks: Sequence[Mark]) -> str:
    curves = [
        RunCurves(RunStyle(split, SPLIT_COLORS[split]), {split: store.metrics(run.id, phase=split)})
        for split in SPLITS
    ]
    panels = overlay_panels(curves, METRICS, smoothing=_SMOOTHING)
    if not panels:
        return "<p>Nothing was logged.</p>"
    config = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}}
    figure = panels_figure(panels, marks).to_html(include_plotlyjs=True, full_html=False, config=config)
    listed = "".join(f"<li>after step {mark.x:,}: {escape(mark.label)}</li>" for mark in marks)
    return f'<p class="sub">Training: means of {_SMOOTHING} steps.</p>{figure}<ol>{listed}</ol>'


def panels_figure(panels: Sequence[Panel], marks: Sequence[Mark] = ()) -> go.Figure:
    """Panels of curves as one Plotly figure; curves of one name share an entry of the legend.

    Marks are lines, numbered from 1.
    """
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[panel.title for panel in panels],
        shared_xaxes="all",
        vertical_spacing=0.34 / max(rows, 2),
        horizontal_spacing=0.055,
    )
    listed: set[str] = set()
    for place, panel in enumerate(panels):
        for curve in panel.curves:
            x, y = thin(curve.x, curve.y, _POINTS)
            figure.add_scatter(
                x=x,
                y=y,
                name=curve.name,
                legendgroup=curve.name,
                showlegend=curve.name not in listed,
                mode="lines+markers" if curve.dots and len(x) <= _DOTS else "lines",
                line={"color": curve.color, "width": curve.width, "dash": curve.dash},
                marker={"size": 4},
                row=place // columns + 1,
                col=place % columns + 1,
            )
            listed.add(curve.name)
    figure.update_annotations(font={"size": 12}, xanchor="center")
    for number, mark in enumerate(marks, 1):
        figure.add_vline(
            mark.x,
            line={"dash": "dot", "width": 1, "color": "#17212b"},
            opacity=0.6,
            annotation={"text": str(number), "font": {"size": 9}},
        )
    figure.update_layout(
        template="plotly_white",
        height=210 * rows + 80,
        margin={"l": 50, "r": 10, "t": 60, "b": 40},
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top"},
        font={"size": 11},
    )
    return figure


def _changes(changes: Sequence[ChangeRecord]) -> str:
    rows = [
        [escape(change.key), f"{change.step:,}", escape(str(change.old)), escape(str(change.new))]
        for change in changes
    ]
    return table_markup(["setting", "after step", "from", "to"], rows) if rows else ""


def _geometry(settings: Settings) -> str:
    report = tier_report(settings)
    empty = "".join(
        f"<p>The {escape(tier)} tier is empty: {escape(remedy)}.</p>"
        for tier, remedy in report.empty_tiers.items()
    )
    return tier_markup(report) + empty


def _cube(store: RunStore, run: RunRecord, probe: Probe) -> str:
    checkpoint = choose_checkpoint(store, run, None)
    loaded = load_model(run.id, store.root, step=checkpoint.step)
    inside = inspect(loaded.model, probe.embedding)
    picture = b64encode(cube_image(inside.states[0], inside.gate[0], inside.dimensions)).decode()
    cosines = " → ".join(f"{cosine:.3f}" for cosine in inside.cosine[0])
    return (
        f"<p>Carrying <q>{escape(probe.text)}</q> at training step {checkpoint.step:,}. Cosine between "
        f"what goes in and what would come out after 0, 1, ... lattice steps: {cosines}</p>"
        f'<img alt="Slices through the cube" src="data:image/png;base64,{picture}">'
    )


def _checkpoints(checkpoints: Sequence[CheckpointRecord]) -> str:
    rows = [
        [
            f"{checkpoint.step:,}",
            "best" if checkpoint.best else "",
            f"{checkpoint.bytes / 1e6:.1f} MB",
            _moment(checkpoint.created),
        ]
        for checkpoint in reversed(checkpoints)
    ]
    return table_markup(["step", "", "size", "written"], rows) if rows else ""


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lab.files.report", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="id of the run, the start of it, or 'latest'")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file (RUN.html)")
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path(os.environ.get("CELLNET_RUNS") or "runs"),
        help="folder of the runs (%(default)s)",
    )
    parser.add_argument("--sentence", default=SENTENCE, help="what the pictured cube carries (%(default)s)")
    parser.add_argument("--no-cube", action="store_true", help="leave the picture of the cube out")
    asked = parser.parse_args(arguments)
    try:
        with open_runs(asked.runs) as store:
            run = store.get(asked.run)
            embedding = Settings(**run.settings).embedding
            probe = None if asked.no_cube else teacher_probe(embedding, asked.sentence)
            report = html_report(store, run.id, probe)
    except CellnetError as error:
        print(error, file=sys.stderr)
        return 1
    target = asked.output or Path(f"{run.id}.html")
    target.write_text(report, encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
