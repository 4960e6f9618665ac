"""Runs: all trainings side by side; go on with them, take them away, bring them in."""

import streamlit as st

from lab.figures.runs import all_tags
from lab.server import get_lab
from lab.views.runs.compare import overlay, settings_difference
from lab.views.runs.detail import checkpoints, description, export, going_on
from lab.views.runs.table import choose_one, choose_runs, deletion, importing, looks_in_trash, restoring

VIEWS = {
    "curves": "Curves",
    "settings": "Settings",
    "checkpoints": "Checkpoints",
    "go on": "Resume or fork",
    "describe": "Describe",
    "export": "Export",
}

service = get_lab().service
choice = choose_runs(service)
chosen = choice.selected
if looks_in_trash():
    restoring(service, chosen)
    st.stop()

views, actions = st.columns([3, 2], vertical_alignment="bottom")
with actions.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
    deletion(service, chosen)
    importing(service)
if not chosen:
    views.caption("Select runs at the left edge of the table to compare, describe, resume or export them.")
    st.stop()

view = views.segmented_control(
    "View",
    list(VIEWS),
    format_func=VIEWS.__getitem__,
    default="curves",
    required=True,
    key="runs_view",
    help="Of the selected runs: their curves overlaid, their settings side by side, their checkpoints; "
    "resume one or begin a new run from it; its name, tags and note; and files to take away.",
    bind="query-params",
)
match view:
    case "curves":
        overlay(service, choice)
    case "settings":
        settings_difference(service, choice)
    case "checkpoints":
        checkpoints(service, choose_one(chosen, "Checkpoints of"))
    case "go on":
        going_on(service, choose_one(chosen, "Go on with"))
    case "describe":
        description(service, choose_one(chosen, "Describe"), all_tags(choice.runs))
    case "export":
        export(service, chosen)
