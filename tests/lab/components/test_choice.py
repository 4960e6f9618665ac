"""A value that a widget and the page both change."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from lab.components.choice import Choice

    choice = Choice("cell")
    if st.button("click into the cube"):
        choice.set(7)
    if st.button("click beside it"):
        choice.set(None)
    if st.toggle("here", True):
        st.number_input("Cell", 0, 9, choice.value, key=choice.key)
    st.session_state["seen"] = choice.value


def seen(app: AppTest) -> int | None:
    value: int | None = app.session_state["seen"]
    return value


def test_it_is_what_was_typed_or_set_last_and_never_written_into_a_widget() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    assert seen(app) is None
    app.number_input[0].set_value(3).run()
    assert seen(app) == 3
    app.button[0].click().run()
    assert (seen(app), app.number_input[0].key, app.number_input[0].value) == (7, "cell.1", 7)
    assert not app.number_input[0].proto.set_value
    app.button[1].click().run()
    assert (seen(app), app.number_input[0].value) == (None, None)
    app.number_input[0].set_value(7).run()
    app.button[0].click().run()
    assert (seen(app), app.number_input[0].key) == (7, "cell.2")


def test_it_stays_while_its_widget_is_not_drawn() -> None:
    app = AppTest.from_function(page, default_timeout=30).run()
    app.number_input[0].set_value(3).run()
    app.toggle[0].set_value(False).run()
    assert not app.number_input
    app.toggle[0].set_value(True).run()
    assert (seen(app), app.number_input[0].value) == (3, 3)
