"""Forms are made from the settings tree, for every field of it."""

import pytest
from streamlit.testing.v1 import AppTest

from cellnet.settings import flat_fields, preset
from lab.widgets.forms import FIELDS, Bounds, field_bounds, field_help, field_label


def whole_form() -> None:
    import streamlit as st

    from cellnet.settings import preset
    from lab.widgets.forms import FIELDS, Form

    form = Form("form", preset("quickstart"))
    form.fields(FIELDS)
    st.session_state["wanted"], st.session_state["problems"] = form.checked(), form.problems


def shared_form() -> None:
    """A form of settings that others change too, as those of the next run are."""
    import streamlit as st

    from cellnet.settings import preset, with_changes
    from lab.widgets.forms import Form, renew

    settings = st.session_state.setdefault("settings", preset("quickstart"))
    if st.button("seed"):
        settings = preset("seed")
        renew("form")
    if st.button("other tab"):
        settings = with_changes(settings, {"training.batch_size": 24})
    if st.button("twice in one run"):
        renew("form")
        renew("form")
    form = Form("form", settings, follows=True)
    form.fields(("training.batch_size", "lattice.local_distance_ratio", "lattice.dimensions"))
    st.session_state["settings"] = form.checked()


def form_with_callback() -> None:
    import streamlit as st

    from cellnet.settings import preset
    from lab.widgets.forms import Form, typed

    form = Form("form", st.session_state.setdefault("settings", preset("quickstart")), follows=True)
    form.fields(("training.batch_size", "lattice.local_distance_ratio", "lattice.dimensions"))
    st.session_state["settings"] = form.checked()
    st.button("go", on_click=lambda: st.session_state.update(typed=typed("form")))


RATIO = "lattice.local_distance_ratio"
BATCH = "training.batch_size"


def test_every_field_has_a_widget_that_gives_its_value_back() -> None:
    app = AppTest.from_function(whole_form, default_timeout=30).run()
    assert not app.exception
    assert not app.error
    assert app.session_state["wanted"] == preset("quickstart")


def test_what_is_wrong_stands_at_its_field() -> None:
    app = AppTest.from_function(whole_form, default_timeout=30).run()
    app.text_input(key="form.0.device.device").set_value("gpu").run()
    assert set(app.session_state["problems"]) == {"device.device"}
    assert "gpu" in app.error[0].value
    app.text_input(key="form.0.device.device").set_value("cpu").run()
    app.slider(key=f"form.0.{RATIO}").set_value(0.95).run()
    assert "must not decrease" in app.error[0].value
    assert app.error[0].value.startswith("Lattice: ")


def test_no_value_is_ever_written_into_a_widget() -> None:
    """What the browser is told of in one run only may never reach it."""
    app = AppTest.from_function(shared_form, default_timeout=30).run()
    for label in ("seed", "other tab", "twice in one run"):
        next(button for button in app.button if button.label == label).click().run()
        drawn = [*app.number_input, *app.slider]
        assert len(drawn) == 5
        assert not any(widget.proto.set_value for widget in drawn), label


def test_other_settings_come_with_other_widgets() -> None:
    app = AppTest.from_function(shared_form, default_timeout=30).run()
    app.slider(key=f"form.0.{RATIO}").set_value(0.99).run()
    assert app.error
    app.button[0].click().run()
    assert not app.error
    assert app.session_state["settings"] == preset("seed")
    assert app.slider(key=f"form.1.{RATIO}").value == preset("seed").lattice.local_distance_ratio
    assert app.number_input(key="form.1.lattice.dimensions.z").value == 8


def test_a_widget_stays_while_one_types_and_while_others_change_other_settings() -> None:
    app = AppTest.from_function(shared_form, default_timeout=30).run()
    app.slider(key=f"form.0.{RATIO}").set_value(0.5).run()
    app.slider(key=f"form.0.{RATIO}").set_value(0.45).run()
    app.number_input(key="form.0.lattice.dimensions.z").set_value(2).run()
    assert "between 3 and 128" in app.error[0].value
    app.button[1].click().run()
    assert app.number_input(key=f"form.1.{BATCH}").value == 24
    assert app.slider(key=f"form.0.{RATIO}").value == 0.45
    assert app.number_input(key="form.0.lattice.dimensions.z").value == 2
    assert app.error
    app.number_input(key="form.0.lattice.dimensions.z").set_value(7).run()
    app.number_input(key=f"form.1.{BATCH}").set_value(32).run()
    settings = app.session_state["settings"]
    assert settings.lattice.dimensions[2] == 7
    assert settings.lattice.local_distance_ratio == 0.45
    assert settings.training.batch_size == 32


def test_a_callback_can_ask_what_was_typed_since_the_form_was_drawn() -> None:
    app = AppTest.from_function(form_with_callback, default_timeout=30).run()
    app.slider(key=f"form.0.{RATIO}").set_value(0.5)
    app.number_input(key="form.0.lattice.dimensions.z").set_value(7)
    app.button[0].click().run()
    assert app.session_state["typed"] == {RATIO: 0.5, "lattice.dimensions": (8, 8, 7)}
    app.button[0].click().run()
    assert app.session_state["typed"] == {}


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
