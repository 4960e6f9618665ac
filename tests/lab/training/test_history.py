"""Growing arrays: what was read stays as it was."""

import numpy as np
import pytest

from lab.training import History


def test_rows_come_back_in_order_and_survive_growth() -> None:
    history = History(("total", "rate"))
    history.append(1, {"total": 0.5, "rate": 2.0, "unknown": 1.0})
    early = history.read()
    for step in range(2, 3001):
        history.append(step, {"total": 1 / step})
    late = history.read()
    assert (len(early), early.last("total")) == (1, 0.5)
    assert late.steps.tolist() == list(range(1, 3001))
    np.testing.assert_allclose(late.column("total")[1:], 1 / np.arange(2, 3001))
    assert np.isnan(late.column("rate")[1:]).all()


def test_what_was_read_cannot_be_written_and_an_empty_history_has_no_last_value() -> None:
    history = History(("total",))
    assert history.read().last("total") is None
    history.append(1, {"total": 1.0})
    with pytest.raises(ValueError, match="read-only"):
        history.read().steps[0] = 5
