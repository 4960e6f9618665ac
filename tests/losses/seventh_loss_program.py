"""Use of a loss that was added to a copy of the package; run by `test_seventh_loss`, never imported."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from streamlit.testing.v1 import AppTest

from cellnet.losses import LOSS_NAMES
from cellnet.runs import RunStore
from cellnet.settings import Settings, from_toml, preset, to_toml, with_changes
from cellnet.student.student import CellNet
from cellnet.training import ChangeEvent, StepEvent, TrainingSession, ValidationEvent
from cellnet.training.baseline import train_perceptron
from cellnet.training.benchmark import random_data
from lab.figures.curves import loss_panels
from lab.figures.runs import METRICS
from lab.training import Snapshot
from lab.views.train.steering import WEIGHTS

CPU = torch.device("cpu")
NAME = "smallness"
KEY = f"loss.{NAME}"


def draw() -> None:
    """Draw the form of the live weights."""
    from cellnet.settings import Settings
    from lab.views.train.steering import WEIGHTS
    from lab.widgets.forms import Form

    form = Form("weights", Settings())
    form.fields(WEIGHTS)
    form.checked()


def main(folder: Path) -> dict[str, object]:
    """Train, validate, save, load and draw; return what was seen."""
    settings = with_changes(
        preset("quickstart"),
        {
            "lattice.dimensions": (4, 4, 4),
            "model.state_size": 4,
            "model.steps": 2,
            "embedding.teacher_width": 12,
            "training.batch_size": 8,
            "training.max_steps": 4,
            "training.validate_every": 2,
            "training.checkpoint_every": 2,
            KEY: 0.25,
        },
    )
    data = random_data(settings, 64)
    steps: list[StepEvent] = []
    validations: list[tuple[ValidationEvent, float]] = []
    changes: list[ChangeEvent] = []
    with RunStore(folder) as store:
        with TrainingSession.start(store, settings, data) as session:
            trainer = session.trainer

            def listen(event: object) -> None:
                match event:
                    case StepEvent():
                        steps.append(event)
                    case ValidationEvent():
                        with torch.no_grad():
                            answer = trainer.model(torch.from_numpy(data.validation), stop_early=False)
                        validations.append((event, float(answer.embeddings.abs().mean())))
                    case ChangeEvent():
                        changes.append(event)

            trainer.subscribe(listen)
            trainer.step()
            trainer.apply({KEY: 0.5})
            trainer.train()
            run = session.run_id
        with TrainingSession.resume(store, run, data, step=2) as resumed:
            kept = resumed.trainer.settings
        logged = {
            phase: np.isfinite(store.metrics(run, phase=phase)[NAME]).all()
            for phase in ("train", "validation")
        }
    weighted = [event.weighted[NAME] / event.losses[NAME] for event in steps]
    app = AppTest.from_function(draw).run(timeout=30)
    without, alone = (with_changes(settings, {KEY: weight}) for weight in (0.0, 1000.0))
    return {
        "names": list(LOSS_NAMES),
        "default": Settings().loss.model_dump()[NAME],
        "toml": from_toml(to_toml(settings)) == settings,
        "weights": [round(weight, 6) for weight in weighted],
        "change": [(change.step, change.key, change.old, change.new) for change in changes],
        "measured": [(event.losses[NAME], expected) for event, expected in validations],
        "loaded": kept.loss.model_dump()[NAME],
        "logged": {phase: bool(value) for phase, value in logged.items()},
        "panels": [panel.title for panel in loss_panels(Snapshot(), 1)],
        "overlays": NAME in METRICS,
        "form": KEY in WEIGHTS and [widget.label for widget in app.number_input if "Small" in widget.label],
        "exceptions": len(app.exception),
        "mlp_moves": bool(
            any(
                not torch.equal(one, other)
                for one, other in zip(
                    *(
                        train_perceptron(CellNet(tree), data, steps=2, device=CPU).parameters()
                        for tree in (without, alone)
                    ),
                    strict=True,
                )
            )
        ),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
