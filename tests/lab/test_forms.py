"""Forms are made from the settings tree, for every field of it."""

import pytest
from streamlit.testing.v1 import AppTest

from cellnet.settings import flat_fields, get_value, preset
from lab.forms import FIELDS, Bounds, checked, field_bounds, field_help, field_label


def whole_form() -> None:
    import streamlit as st

    from cellnet.settings import preset
    from lab.forms import FIELDS, checked, field_column, show_problems

    settings = preset("quickstart")
    values, places = field_column(tuple(FIELDS), settings, key="form")
    wanted, problems = checked(settings, values)
    show_problems(problems, places)
    st.session_state["wanted"], st.session_state["problems"] = wanted, problems


def one_form() -> None:
    import streamlit as st

    from cellnet.settings import preset
    from lab.forms import field_column, set_widgets

    if st.button("seed"):
        set_widgets(preset("seed"), "form")
    names = ("lattice.adaptive_radius_ratio", "lattice.dimensions", "embedding.teacher")
    values, _ = field_column(names, preset("quickstart"), key="form")
    st.session_state["values"] = values


def test_every_field_has_a_widget_that_gives_its_value_back() -> None:
    app = AppTest.from_function(whole_form, default_timeout=30).run()
    assert not app.exception
    assert not app.error
    assert app.session_state["wanted"] == preset("quickstart")


def test_what_is_wrong_stands_at_its_field() -> None:
    app = AppTest.from_function(whole_form, default_timeout=30).run()
    app.text_input(key="form.device.device").set_value("gpu").run()
    assert set(app.session_state["problems"]) == {"device.device"}
    assert "gpu" in app.error[0].value
    app.text_input(key="form.device.device").set_value("cpu").run()
    app.slider(key="form.lattice.local_distance_ratio").set_value(0.95).run()
    assert "must not decrease" in app.error[0].value
    assert app.error[0].value.startswith("Lattice: ")


def test_widgets_can_be_set_to_other_settings() -> None:
    app = AppTest.from_function(one_form, default_timeout=30).run()
    assert app.session_state["values"]["embedding.teacher"] == "minilm"
    app.button[0].click().run()
    seed = preset("seed")
    assert app.session_state["values"] == {
        name: get_value(seed, name) for name in app.session_state["values"]
    }


@pytest.mark.parametrize("name", FIELDS)
def test_label_help_and_range_come_from_the_field(name: str) -> None:
    field = dict(flat_fields())[name]
    assert str(field.title) in field_label(name)
    assert str(field.description) in field_help(name)
    assert f"`{name}`" in field_help(name)
    bounds = field_bounds(field)
    if isinstance(field.default, float) and not isinstance(field.default, bool):
        assert bounds.low is None or bounds.low <= field.default
        assert bounds.high is None or field.default <= bounds.high


def test_bounds_of_known_fields_and_their_words() -> None:
    assert field_bounds(FIELDS["training.batch_size"]) == Bounds(4, 65536)
    assert field_bounds(FIELDS["gate.temperature"]) == Bounds(1e-9, 100.0)
    assert "Range: 4 to 65536." in field_help("training.batch_size")
    assert "Range: just above 0 to 100." in field_help("gate.temperature")


def test_checked_keeps_the_old_settings_when_new_ones_are_impossible() -> None:
    old = preset("quickstart")
    same, problems = checked(old, {"training.batch_size": 1})
    assert same is old
    assert set(problems) == {"training.batch_size"}
    new, problems = checked(old, {"training.batch_size": 8})
    assert (new.training.batch_size, problems) == (8, {})
