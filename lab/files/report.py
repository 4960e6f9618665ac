"""A run as one HTML file that opens without a server: ``python -m lab.files.report RUN -o report.html``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import plotly.graph_objects as go
import torch
from markupsafe import Markup
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
from lab.figures.markup import facts_markup, markup, table_markup, tier_markup
from lab.figures.runs import METRICS, SPLITS, RunCurves, RunStyle, figures_of, overlay_panels
from lab.figures.series import Mark, Panel, thin
from lab.figures.words import tier_report
from lab.files.stills import cube_image
from lab.training import Probe

SENTENCE: Final = "Return the length of the list."
"""The sentence that the cube carries in the picture, unless another is given."""
_POINTS: Final = 2000
_SMOOTHING: Final = 10
_COLUMNS: Final = 3
_DOTS: Final = 80
_TEMPLATE: Final = Path(__file__).with_name("templates") / "report.html"


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
    beside = {"Figures": _figures(store, run), "Geometry": _geometry(settings)}
    below = {
        "Curves": _curves(store, run, step_marks(changes)),
        "Live changes": _changes(changes),
        "The cube": _cube(store, run, probe) if probe else Markup(),
        "Checkpoints": _checkpoints(store.checkpoints(run.id)),
        "Settings": markup(
            "<details><summary>As TOML</summary><pre>{{ toml }}</pre></details>", toml=to_toml(settings)
        ),
        "Report": facts_markup(environment()),
    }
    return markup(
        _TEMPLATE.read_text(encoding="utf-8"),
        title=run.name or run.id,
        facts=(run.id, _moment(run.created), *run.tags),
        note=run.note,
        beside=beside,
        below={title: part for title, part in below.items() if part},
    )


def teacher_probe(settings: EmbeddingSettings, text: str) -> Probe:
    """Embed a sentence with the teacher of a run.

    Raises:
        TeacherError: if the teacher is not there.
    """
    embedding = Teacher.load(settings, torch.device("cpu")).encode([text])
    return Probe(text, np.asarray(embedding, dtype=np.float32))


def environment() -> dict[str, str]:
    """Return the versions and the system that wrote the report."""
    return {
        "written": time.strftime("%Y-%m-%d %H:%M"),
        "cellnet": cellnet.__version__,
        "PyTorch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
    }


def _figures(store: RunStore, run: RunRecord) -> Markup:
    return facts_markup(figures_of(run, store.latest("train"), store.latest("validation")))


def _curves(store: RunStore, run: RunRecord, marks: Sequence[Mark]) -> Markup:
    curves = [
        RunCurves(RunStyle(split, SPLIT_COLORS[split]), {split: store.metrics(run.id, phase=split)})
        for split in SPLITS
    ]
    panels = overlay_panels(curves, METRICS, smoothing=_SMOOTHING)
    if not panels:
        return Markup("<p>Nothing was logged.</p>")
    config = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"format": "svg"}}
    figure = panels_figure(panels, marks).to_html(include_plotlyjs=True, full_html=False, config=config)
    return markup(
        '<p class="sub">Training: means of {{ smoothing }} steps.</p>{{ figure }}<ol>'
        "{% for step, label in marks %}<li>after step {{ step }}: {{ label }}</li>{% endfor %}</ol>",
        smoothing=_SMOOTHING,
        figure=Markup(figure),  # noqa: S704 - Plotly escapes what it writes
        marks=[(f"{mark.x:,}", mark.label) for mark in marks],
    )


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


def _changes(changes: Sequence[ChangeRecord]) -> Markup:
    rows = [[change.key, f"{change.step:,}", str(change.old), str(change.new)] for change in changes]
    return table_markup(["setting", "after step", "from", "to"], rows) if rows else Markup()


def _geometry(settings: Settings) -> Markup:
    report = tier_report(settings)
    return markup(
        "{{ tiers }}{% for tier, remedy in empty.items() %}"
        "<p>The {{ tier }} tier is empty: {{ remedy }}.</p>{% endfor %}",
        tiers=tier_markup(report),
        empty=report.empty_tiers,
    )


def _cube(store: RunStore, run: RunRecord, probe: Probe) -> Markup:
    checkpoint = choose_checkpoint(store, run, None)
    loaded = load_model(run.id, store.root, step=checkpoint.step)
    inside = inspect(loaded.model, probe.embedding)
    picture = b64encode(cube_image(inside.states[0], inside.gate[0], inside.dimensions)).decode()
    cosines = " → ".join(f"{cosine:.3f}" for cosine in inside.cosine[0])
    return markup(
        "<p>Carrying <q>{{ text }}</q> at training step {{ step }}. Cosine between "
        "what goes in and what would come out after 0, 1, ... lattice steps: {{ cosines }}</p>"
        '<img alt="Slices through the cube" src="data:image/png;base64,{{ picture }}">',
        text=probe.text,
        step=f"{checkpoint.step:,}",
        cosines=cosines,
        picture=picture,
    )


def _checkpoints(checkpoints: Sequence[CheckpointRecord]) -> Markup:
    rows = [
        [
            f"{checkpoint.step:,}",
            "best" if checkpoint.best else "",
            f"{checkpoint.bytes / 1e6:.1f} MB",
            _moment(checkpoint.created),
        ]
        for checkpoint in reversed(checkpoints)
    ]
    return table_markup(["step", "", "size", "written"], rows) if rows else Markup()


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
    options = parser.parse_args(arguments)
    try:
        with open_runs(options.runs) as store:
            run = store.get(options.run)
            embedding = Settings(**run.settings).embedding
            probe = None if options.no_cube else teacher_probe(embedding, options.sentence)
            report = html_report(store, run.id, probe)
    except CellnetError as error:
        print(error, file=sys.stderr)
        return 1
    target = options.output or Path(f"{run.id}.html")
    target.write_text(report, encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
