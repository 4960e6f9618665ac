"""Orders come out in the order in which they were given; impossible changes never get in."""

import pytest

from cellnet.errors import SettingsError, TrainingError
from cellnet.settings import Settings, with_changes
from cellnet.training.orders import Call, Changes, Command, ControlQueue


def test_orders_keep_their_order() -> None:
    control = ControlQueue(Settings())
    control.send(Command.PAUSE)
    control.change({"loss.similarity": 0.25})
    control.send(Command.STOP)
    assert control.next(wait=True) is Command.PAUSE
    assert control.next(wait=False) == Changes(with_changes(Settings(), {"loss.similarity": 0.25}))
    assert control.next(wait=False) is Command.STOP
    assert control.next(wait=False) is None


def test_requested_is_what_all_orders_will_lead_to() -> None:
    control = ControlQueue(Settings())
    control.change({"lattice.functional_distance_ratio": 0.3})
    control.change({"lattice.local_distance_ratio": 0.2, "gate.temperature": 2.0})
    assert control.requested.lattice.local_distance_ratio == 0.2
    assert control.requested.gate.temperature == 2.0
    with pytest.raises(SettingsError, match="must not decrease"):
        control.change({"lattice.local_distance_ratio": 0.5})
    assert control.requested.lattice.local_distance_ratio == 0.2


@pytest.mark.parametrize(
    ("values", "key", "part"),
    [
        ({"model.steps": 3}, "model.steps", "cannot change while training"),
        ({"lattice.dimensions": (4, 4, 4)}, "lattice.dimensions", "cannot change while training"),
        ({"nothing.at_all": 1}, "nothing.at_all", "loss.similarity"),
        ({"lattice": {}}, "lattice", "cannot change"),
        ({"loss.similarity": -1.0}, "loss.similarity", "-1.0"),
        ({"loss.similarity": "much"}, "loss.similarity", "'much'"),
        ({"training.learning_rate": float("nan")}, "training.learning_rate", "nan"),
        ({"loss.similarity": 0.1, "init.seed": 1}, "init.seed", "cannot change while training"),
    ],
)
def test_impossible_changes_are_refused_at_once(values: dict[str, object], key: str, part: str) -> None:
    control = ControlQueue(Settings())
    with pytest.raises(SettingsError) as caught:
        control.change(values)
    assert list(caught.value.problems) == [key]
    assert part in caught.value.problems[key]
    assert control.next(wait=False) is None
    assert control.requested == Settings()


def test_given_values_are_copied() -> None:
    control = ControlQueue(Settings())
    values = {"loss.similarity": 0.25}
    control.change(values)
    values["loss.similarity"] = 9.0
    assert control.next(wait=False) == Changes(with_changes(Settings(), {"loss.similarity": 0.25}))


def test_a_call_is_carried_out_once_and_its_answer_or_error_goes_to_the_asker() -> None:
    control = ControlQueue(Settings())
    good, bad = control.call(lambda: 7), control.call(lambda: 1 // 0)
    dropped = control.call(lambda: pytest.fail("it was cancelled"))
    assert dropped.cancel()
    for _ in range(3):
        order = control.next(wait=False)
        assert isinstance(order, Call)
        order.carry_out()
    assert good.result(0) == 7
    with pytest.raises(ZeroDivisionError):
        bad.result(0)


def test_at_the_end_calls_are_refused_and_other_orders_stay() -> None:
    control = ControlQueue(Settings())
    early = control.call(lambda: 1)
    control.send(Command.PAUSE)
    control.change({"loss.similarity": 0.25})
    control.end()
    for answer in (early, control.call(lambda: 2)):
        with pytest.raises(TrainingError, match="has ended"):
            answer.result(0)
    assert control.next(wait=False) is Command.PAUSE
    assert control.next(wait=False) == Changes(with_changes(Settings(), {"loss.similarity": 0.25}))
    control.begin()
    control.call(lambda: 3)
    assert isinstance(control.next(wait=False), Call)
