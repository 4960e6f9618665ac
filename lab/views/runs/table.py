"""The table of all runs: filters, selection, deletion with undo, the trash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final

import streamlit as st

from cellnet.errors import CellnetError, CheckpointError
from cellnet.runs import RUN_STATES, RunRecord, RunState, RunStore
from cellnet.runs.transfer import import_checkpoint
from lab.components import run_when_newer
from lab.figures.runs import all_tags, filter_runs, run_label, runs_table
from lab.training import TrainingService
from lab.widgets.status import refuse

_PAUSE: Final = 5.0
"""Seconds between two runs of the table while runs go on."""
_SELECTED: Final = "selected"
_TABLE: Final = "runs_table"
_UNDO: Final = "runs_undo"
_PLACE: Final = "runs_place"
_PROBLEM: Final = "runs_import_problem"
MOST_MEGABYTES: Final = 300
MOST_NAME: Final = 80
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
        "Loss", format="%.4f", width=72, help="Weighted sum of the losses in the last training step."
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


@dataclass(frozen=True)
class Filters:
    """The content of the table; see `lab.figures.runs.filter_runs`."""

    words: str
    tags: Sequence[str]
    states: Sequence[RunState]
    in_trash: bool

    def apply(self, runs: Sequence[RunRecord]) -> list[RunRecord]:
        """The runs that pass."""
        return filter_runs(runs, self.words, self.tags, self.states)


@dataclass(frozen=True)
class Choice:
    """The data of the page, read once: the runs shown there, and those of them selected."""

    runs: Sequence[RunRecord]
    selected: Sequence[RunRecord]


def choose_runs(service: TrainingService) -> Choice:
    """Filters and table; returns the runs of the store, or of its trash, and which are selected."""
    find, tags, states, place = st.columns([4, 3, 3, 2], vertical_alignment="bottom")
    place.segmented_control(
        "Look in",
        ("runs", "trash"),
        default="runs",
        required=True,
        key=_PLACE,
        format_func=str.capitalize,
        help="Deleted runs wait in the trash and can be restored.",
        bind="query-params",
        width="stretch",
    )
    runs = service.store.list(deleted=looks_in_trash())
    words = find.text_input(
        "Find",
        key="runs_find",
        placeholder="name, note, id, device, tag",
        help="Every word must occur in the name, id, note, device, parent or tags.",
        bind="query-params",
    )
    chosen_tags = tags.multiselect(
        "Tags",
        all_tags(runs),
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
    filters = Filters(words or "", chosen_tags, stood, looks_in_trash())
    _table(service.store, filters)
    selected = st.query_params.get_all(_SELECTED)
    return Choice(runs, [run for run in runs if run.id in selected])


def looks_in_trash() -> bool:
    """Whether the table shows the trash."""
    return bool(st.session_state[_PLACE] == "trash")


def state_of(runs: Iterable[RunRecord]) -> str:
    """Name what is known of some runs; it changes as they go on."""
    return str([(run.id, run.updated) for run in runs])


@st.fragment
def _table(store: RunStore, filters: Filters) -> None:
    list_runs = partial(store.list, deleted=filters.in_trash)
    run_when_newer(lambda: state_of(list_runs()), key="runs", pause=_PAUSE)
    everything = list_runs()
    runs = filters.apply(everything)
    ids = [run.id for run in runs]
    key = _table_key(ids)
    if not runs:
        st.info(_nothing(filters.in_trash, bool(everything)))
        _select([])
        return
    table = runs_table(runs, store.latest("train"), store.latest("validation"))
    table.insert(3, "done", 100 * table["steps"] // table.pop("of"))
    before = st.query_params.get_all(_SELECTED)
    event = st.dataframe(
        table,
        column_config=_COLUMNS,
        hide_index=True,
        height="content" if len(runs) < _ROWS else _HEIGHT,
        key=key,
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


def _table_key(ids: Sequence[str]) -> str:
    """Rows are selected by place, so that a table of other runs is another widget, never an old one."""
    before, number = st.session_state.get(_TABLE, ([], 0))
    if before != ids:
        number += 1
        st.session_state[_TABLE] = (list(ids), number)
    return f"{_TABLE}.{number}"


def deletion(service: TrainingService, chosen: Sequence[RunRecord]) -> None:
    """The button that deletes the chosen runs, and the one that brings them back."""
    if gone := st.session_state.get(_UNDO):
        st.caption(f"Deleted {_counted(len(gone))}.", width="content")
        if st.button(
            "Undo",
            key="runs_undo_button",
            help="Bring back what was just deleted. Later you find it in the trash.",
        ):
            _restore(service, gone)
    if st.button(
        f"Delete {_counted(len(chosen))}" if chosen else "Delete",
        key="runs_delete",
        disabled=not chosen,
        help="Moves the selected runs to the trash, from where they can be restored.",
    ):
        _delete(service, [run.id for run in chosen])


def importing(service: TrainingService) -> None:
    """A button that opens the form to bring in a checkpoint as a run."""
    with st.popover("Import", help="Bring in a checkpoint that was downloaded here or elsewhere."):
        file = st.file_uploader(
            f"A checkpoint as a zip file, at most {MOST_MEGABYTES} MB",
            type="zip",
            max_upload_size=MOST_MEGABYTES,
            key="runs_upload",
            help="It is checked before a run appears: nothing in it is executed, and the weights must fit "
            "their settings.",
        )
        name = st.text_input(
            "Name of the run",
            key="runs_upload_name",
            max_chars=MOST_NAME,
            help="For people; without one the step says what it is.",
        )
        pressed = st.button(
            "Import as a new run",
            key="runs_import",
            type="primary",
            disabled=file is None,
            help="The run can then be looked into, resumed and forked like any other.",
        )
        if pressed and file is not None:
            _import(service, file, name)
        if problem := st.session_state.get(_PROBLEM):
            st.error(problem)


def _import(service: TrainingService, file: IO[bytes], name: str) -> None:
    try:
        run_id = import_checkpoint(service.store, file, name=name.strip(), max_bytes=MOST_MEGABYTES * 10**6)
    except CheckpointError as error:
        st.session_state[_PROBLEM] = str(error)
    else:
        st.session_state[_PROBLEM] = ""
        st.query_params[_SELECTED] = [run_id]
    st.rerun()


def restoring(service: TrainingService, chosen: Sequence[RunRecord]) -> None:
    """The button that takes the chosen runs out of the trash."""
    if st.button(
        f"Restore {_counted(len(chosen))}" if chosen else "Restore",
        key="runs_restore",
        type="primary",
        disabled=not chosen,
        help="Select runs in the table; with their curves and checkpoints they come back as they were.",
    ):
        _restore(service, [run.id for run in chosen])


def _delete(service: TrainingService, ids: Sequence[str]) -> None:
    st.session_state[_UNDO] = _each(service.store.delete, ids)
    st.rerun()


def _restore(service: TrainingService, ids: Sequence[str]) -> None:
    restored = _each(service.store.restore, ids)
    left = [run_id for run_id in st.session_state.get(_UNDO) or [] if run_id not in restored]
    st.session_state[_UNDO] = left
    if not looks_in_trash():
        st.query_params[_SELECTED] = restored
    st.rerun()


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
        refuse("; ".join(refused))
    return done


def _counted(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def choose_one(chosen: Sequence[RunRecord], label: str) -> RunRecord:
    """The run that a view is about, where several are selected."""
    if len(chosen) == 1:
        return chosen[0]
    by_id = {run.id: run for run in chosen}
    place, _ = st.columns([2, 3])
    run_id = place.selectbox(
        label,
        list(by_id),
        key="runs_one",
        format_func=lambda run_id: run_label(by_id[run_id]),
        help="One of the selected runs.",
    )
    return by_id[run_id]
