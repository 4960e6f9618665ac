"""The names of the metrics are those of the values."""

from cellnet.losses import LOSS_NAMES
from cellnet.measures import ReconstructionMeasures
from cellnet.training import StepEvent, ValidationEvent
from cellnet.training.metrics import TRAIN_NAMES, VALIDATION_NAMES, train_metrics, validation_metrics

LOSSES = dict.fromkeys(LOSS_NAMES, 0.5)


def test_a_step_has_a_value_for_each_name_and_for_each_stage() -> None:
    event = StepEvent(7, LOSSES, LOSSES, 3.0, 0.1, 2.0, 0.25, {"forward": 0.2}, too_slow=False)
    values = {"total": 3.0, "learning_rate": 0.1, "gradient_norm": 2.0, "seconds": 0.25}
    assert train_metrics(event) == LOSSES | values | {"seconds.forward": 0.2}
    assert set(TRAIN_NAMES) == {*LOSSES, *values}


def test_a_validation_has_a_value_for_each_name() -> None:
    event = ValidationEvent(
        7, LOSSES, LOSSES, 3.0, ReconstructionMeasures(0.5, 0.1, 0.9, 0.2), improved=True
    )
    values = {
        "total": 3.0,
        "explained_variance": 0.5,
        "mse": 0.1,
        "mean_cosine": 0.9,
        "mean_vector_cosine": 0.2,
    }
    assert validation_metrics(event) == LOSSES | values
    assert set(VALIDATION_NAMES) == {*LOSSES, *values}
