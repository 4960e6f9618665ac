"""The table of all runs: filters, selection, deletion with undo, the trash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

import streamlit as st

from cellnet.errors import CellnetError
from cellnet.runs import RUN_STATES, RunRecord, RunState
from lab.figures.runs import all_tags, filter_runs, run_label, runs_table
from lab.training import TrainingService
from lab.views.status import REFUSED

TABLE_PERIOD: Final = 5.0
_SELECTED: Final = "selected"
_UNDO: Final = "runs_undo"
_ROWS: Final = 10
_HEIGHT: Final = 340

_COLUMNS: Final[dict[str, Any]] = {
    "run": st.column_config.TextColumn("Run", width="medium", pinned=True),
    "state": st.column_config.TextColumn("State", width=80),
    "steps": st.column_config.NumberColumn("Steps", format="localized", width=70),
    "done": st.column_config.ProgressColumn("Done", width=70, format="%d%%", max_value=100),
    "explained": st.column_config.NumberColumn(
        "Explained", format="%.3f", width=84, help="Share of the variance of held-out embeddings explained."
    ),
    "gain": st.column_config.NumberColumn(
        "Gain", format="%+.3f", width=66, help="Explained variance over PCA with as many numbers."
    ),
    "cosine": st.column_config.NumberColumn(
        "Cosine", format="%.3f", width=72, help="Mean cosine between teacher and student, held out."
    ),
    "loss": st.column_config.NumberColumn(
        "Loss", format="%.4f", width=72, help="Weighted sum of the six losses, last training step."
    ),
    "validation loss": st.column_config.NumberColumn(
        "Val. loss", format="%.4f", width=78, help="The same at the last validation."
    ),
    "seconds": st.column_config.NumberColumn("s/step", format="%.3f", width=70),
    "device": st.column_config.TextColumn("Device", width=110),
    "created": st.column_config.DatetimeColumn("Created", format="YYYY-MM-DD HH:mm", width=126),
    "tags": st.column_config.ListColumn("Tags", width=130),
    "note": st.column_config.TextColumn("Note", width="medium"),
    "id": st.column_config.TextColumn("Id", width=170),
}


def run_filters(service: TrainingService) -> tuple[str, list[str], list[RunState], bool]:
    """Words, tags and states to look for, and whether to look in the trash."""
    find, tags, states, place = st.columns([4, 3, 3, 2], vertical_alignment="bottom")
    words = find.text_input(
        "Find",
        key="runs_find",
        placeholder="name, note, id, device, tag",
        help="Every word must occur in the name, id, note, device, parent or tags.",
        bind="query-params",
    )
    wanted = tags.multiselect(
        "Tags",
        all_tags(service.store.list()),
        key="runs_tags",
        help="Runs that have all of these tags.",
        placeholder="any",
        bind="query-params",
    )
    stood = states.multiselect(
        "States",
        RUN_STATES,
        key="runs_states",
        help="Runs in one of these states.",
        placeholder="any",
        bind="query-params",
    )
    shown = place.segmented_control(
        "Look in",
        ("runs", "trash"),
        default="runs",
        required=True,
        key="runs_place",
        format_func=str.capitalize,
        help="Deleted runs wait in the trash and can be restored.",
        bind="query-params",
        width="stretch",
    )
    return words or "", wanted, stood, shown == "trash"


def choose_runs(service: TrainingService) -> list[RunRecord]:
    """Filters and table; returns the runs that are selected."""
    words, tags, states, in_trash = run_filters(service)
    live = service.snapshot().phase.is_active
    st.fragment(_table, run_every=TABLE_PERIOD if live else None)(service, words, tags, states, in_trash)
    selected = st.query_params.get_all(_SELECTED)
    return [run for run in service.store.list(deleted=in_trash) if run.id in selected]


def _table(
    service: TrainingService, words: str, tags: list[str], states: list[RunState], in_trash: bool
) -> None:
    store = service.store
    everything = store.list(deleted=in_trash)
    runs = filter_runs(everything, words, tags, states)
    if not runs:
        st.info(_nothing(in_trash, bool(everything)))
        _select([])
        return
    table = runs_table(runs, store.latest("train"), store.latest("validation"))
    table.insert(3, "done", 100 * table["steps"] // table.pop("of"))
    ids = [run.id for run in runs]
    before = st.query_params.get_all(_SELECTED)
    event = st.dataframe(
        table,
        column_config=_COLUMNS,
        hide_index=True,
        height="content" if len(runs) < _ROWS else _HEIGHT,
        key=f"runs_table.{_digest(ids)}",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [row for row, run in enumerate(ids) if run in before]}},
        placeholder="",
    )
    _select([ids[row] for row in event["selection"]["rows"] if row < len(ids)])


def _nothing(in_trash: bool, any_run: bool) -> str:
    if any_run:
        return "No run passes the filter: take a word, tag or state out."
    if in_trash:
        return "The trash is empty. Runs that you delete wait here and can be restored."
    return "There is no run yet: press Start above, or import a checkpoint."


def _select(ids: list[str]) -> None:
    """Keep the selection in the address; the rest of the page follows."""
    if ids != st.query_params.get_all(_SELECTED):
        st.query_params[_SELECTED] = ids
        st.rerun()


def _digest(ids: Sequence[str]) -> str:
    """Rows are selected by their place, so that a table of other runs is another table."""
    return blake2b(" ".join(ids).encode(), digest_size=8).hexdigest()


def deletion(service: TrainingService, chosen: Sequence[RunRecord]) -> None:
    """The button that deletes the chosen runs, and the one that brings them back."""
    button, undo = st.columns([1, 5], vertical_alignment="center")
    button.button(
        f"Delete {_counted(len(chosen))}" if chosen else "Delete",
        key="runs_delete",
        disabled=not chosen,
        on_click=_delete,
        args=(service, [run.id for run in chosen]),
        help="Moves them to the trash, from where they can be restored.",
        width="stretch",
    )
    if gone := st.session_state.get(_UNDO):
        with undo.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Deleted {_counted(len(gone))}.", width="content")
            st.button("Undo", key="runs_undo_button", on_click=_restore, args=(service, gone))


def restoring(service: TrainingService, chosen: Sequence[RunRecord]) -> None:
    """The button that takes the chosen runs out of the trash."""
    st.button(
        f"Restore {_counted(len(chosen))}" if chosen else "Restore",
        key="runs_restore",
        type="primary",
        disabled=not chosen,
        on_click=_restore,
        args=(service, [run.id for run in chosen]),
        help="Select runs in the table; with their curves and checkpoints they come back as they were.",
    )


def _delete(service: TrainingService, ids: Sequence[str]) -> None:
    st.session_state[_UNDO] = _each(service.store.delete, ids)


def _restore(service: TrainingService, ids: Sequence[str]) -> None:
    restored = _each(service.store.restore, ids)
    left = [run_id for run_id in st.session_state.get(_UNDO) or [] if run_id not in restored]
    st.session_state[_UNDO] = left


def _each(action: Callable[[str], None], ids: Sequence[str]) -> list[str]:
    """Do it for all of them; those that refuse say why in the status bar, the others are returned."""
    done, refused = [], []
    for run_id in ids:
        try:
            action(run_id)
            done.append(run_id)
        except CellnetError as error:
            refused.append(str(error))
    if refused:
        st.session_state[REFUSED] = "; ".join(refused)
    return done


def _counted(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def choose_one(chosen: Sequence[RunRecord], label: str) -> RunRecord:
    """The run that a view is about, where several are selected."""
    if len(chosen) == 1:
        return chosen[0]
    by_id = {run.id: run for run in chosen}
    run_id = st.selectbox(
        label,
        list(by_id),
        key="runs_one",
        format_func=lambda run_id: run_label(by_id[run_id]),
        help="One of the selected runs.",
    )
    return by_id[run_id]
