"""Small pieces of HTML for figures that Streamlit has no compact element for. All text is escaped."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Final

from cellnet.lattice.geometry import GeometryReport
from lab.figures.colors import EXPERT_COLORS
from lab.figures.words import duration
from lab.training import Phase, Snapshot

STYLE: Final = """
<style>
/* A fade has the browser draw for half a second after a press, while it should draw the answer. */
*, ::before, ::after { transition: none !important; }
/* What runs anew each second must not flicker; a run that takes long shows as a line at the top instead. */
.stMain [data-stale="true"] { opacity: 1; }
.stApp[data-test-script-state="running"]::after { content: ""; position: fixed; inset: 0 0 auto;
  height: 3px; z-index: 1000000; background: #56b4e9; animation: lab-wait 0s 1s both; }
@keyframes lab-wait { from { visibility: hidden; } to { visibility: visible; } }
.stMainBlockContainer { padding-inline: 2rem; padding-bottom: 2rem; }
[data-testid="stStatusWidget"], [class*="st-key-newer-"] { display: none; }
.st-key-geometry_preset [role="radiogroup"] { flex-wrap: wrap; }
/* The name of a button's key is by default too pale on the button. */
.stButton button kbd { color: inherit; opacity: 1; }
.lab-status { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.6rem;
  font-variant-numeric: tabular-nums; }
.lab-state { font-weight: 600; font-size: 1.25rem; }
.lab-state i { display: inline-block; width: .65em; height: .65em; margin-right: .45em;
  border-radius: 50%; }
.lab-fact { white-space: nowrap; }
.lab-slow { display: inline-block; width: .6em; height: .6em; margin-right: .35em; border-radius: 50%;
  background: #E69F00; }
.lab-fact small { opacity: .72; margin-right: .4em; font-size: .82em; }
.lab-track { height: 5px; border-radius: 3px; margin-top: .55rem; overflow: hidden;
  background: rgba(128, 140, 152, .25); }
.lab-track div { height: 100%; border-radius: 3px; }
.lab-table { width: 100%; border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; }
.lab-table th { text-align: right; font-weight: 400; opacity: .72; }
.lab-table td { text-align: right; }
.lab-table th, .lab-table td { padding: .22rem .35rem; border-bottom: 1px solid rgba(128, 140, 152, .25); }
.lab-table :is(th, td):first-child { text-align: left; }
.lab-table i { display: inline-block; width: .7em; height: .7em; border-radius: 2px; margin-right: .45em; }
.lab-said { font-size: .9rem; margin-top: .2rem; }
.lab-said q { font-style: italic; }
.lab-note { font-size: .86rem; margin: .7rem 0 0; opacity: .8; }
.lab-command { margin: 0; padding: .7rem .9rem; border-radius: .5rem; background: rgba(128, 140, 152, .13);
  font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
.lab-link { display: block; margin-top: .7rem; padding: .42rem .75rem; border-radius: .5rem;
  text-align: center;
  border: 1px solid rgba(128, 140, 152, .4); color: inherit !important; text-decoration: none !important; }
.lab-link:is(:hover, :focus-visible) { border-color: currentcolor; }
</style>
"""

LIGHT_STYLE: Final = """
<style>
/* The gray that captions have by default is too light on white. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { color: #55606b; opacity: 1; }
</style>
"""

DARK_STYLE: Final = """
<style>
/* White on the light blue that the dark theme needs elsewhere would be hard to read. */
button[kind="primary"]:enabled :is(p, kbd) { color: #0e141a; }
</style>
"""

STATE_COLORS: Final = {
    Phase.IDLE: "#8a949e",
    Phase.PREPARING: "#E69F00",
    Phase.RUNNING: "#009E73",
    Phase.PAUSED: "#E69F00",
    Phase.FINISHED: "#0072B2",
    Phase.STOPPED: "#8a949e",
    Phase.FAILED: "#D55E00",
}


_STEP_TIME: Final = "step time"
_SLOW_MARK: Final = '<i class="lab-slow"></i>'


def status_markup(snapshot: Snapshot) -> str:
    """State, facts and progress of a training."""
    color = STATE_COLORS[snapshot.phase]
    word = "stopping" if snapshot.stopping else snapshot.ordered or snapshot.phase.value
    facts = "".join(
        f'<span class="lab-fact"><small>{escape(name)}</small>'
        f"{_SLOW_MARK if name == _STEP_TIME and snapshot.is_slow else ''}{escape(value)}</span>"
        for name, value in status_facts(snapshot).items()
    )
    width = 100 * progress_share(snapshot)
    return (
        f'<div class="lab-status" data-state="{escape(word)}" data-step="{snapshot.step}">'
        f'<span class="lab-state"><i style="background: {color}"></i>{escape(word.capitalize())}</span>'
        f'{facts}</div><div class="lab-track">'
        f'<div style="width: {width:.1f}%; background: {color}"></div></div>'
    )


def status_facts(snapshot: Snapshot) -> dict[str, str]:
    """The figures of the status bar, by name; what is unknown is left out."""
    facts: dict[str, str] = {}
    if snapshot.preparation:
        doing = snapshot.preparation
        counted = f": {doing.done:,} of {doing.total:,}" if doing.total else " ..."
        facts["now"] = doing.label + counted
    if snapshot.run_id is None:
        return facts
    facts["step"] = f"{snapshot.step:,} of {snapshot.max_steps:,}"
    if snapshot.phase is Phase.RUNNING and snapshot.seconds_left is not None:
        facts["left"] = duration(snapshot.seconds_left)
    if snapshot.steps_per_second is not None:
        facts["speed"] = f"{snapshot.steps_per_second:.3g} steps/s"
    if snapshot.step_seconds is not None and snapshot.target_seconds is not None:
        than = "slower than the target of" if snapshot.is_slow else "target"
        facts[_STEP_TIME] = (
            f"{1e3 * snapshot.step_seconds:,.0f} ms, {than} {1e3 * snapshot.target_seconds:,.4g} ms"
        )
    facts["device"] = snapshot.device
    facts |= {
        "memory" if kind == "process" else f"memory, {kind.replace('_', ' ')}": f"{megabytes:,.0f} MB"
        for kind, megabytes in snapshot.memory.items()
    }
    if snapshot.age is not None and snapshot.phase.is_training:
        facts["data"] = f"{snapshot.age:.0f} s old"
    facts["run"] = snapshot.run_id
    return facts


def progress_share(snapshot: Snapshot) -> float:
    """How much is done of what is going on, 0 to 1."""
    doing = snapshot.preparation
    done, total = (doing.done, doing.total) if doing else (snapshot.step, snapshot.max_steps)
    return done / total if total else 0.0


def tier_markup(report: GeometryReport) -> str:
    """The population of each tier as a table."""
    rows, inner = [], 0.0
    for tier, outer in zip(report.tiers, report.thresholds, strict=True):
        people = report.tiers[tier]
        name = f'<i style="background: {EXPERT_COLORS[tier]}"></i>{escape(tier)}'
        rows.append(
            [
                name,
                f"{inner:.2f} to {outer:.2f}",
                f"{people.mean:.1f}",
                f"{people.min} to {people.max}",
                f"{people.edges:,}",
            ]
        )
        inner = outer
    return table_markup(["tier", "distance (cells)", "neighbors, mean", "min to max", "connections"], rows)


def facts_markup(facts: Mapping[str, str]) -> str:
    """Names and values as a table without a head."""
    return table_markup([], [[escape(name), escape(value)] for name, value in facts.items()])


def note_markup(text: str) -> str:
    """A sentence in small letters."""
    return f'<p class="lab-note">{escape(text)}</p>'


def command_markup(text: str) -> str:
    """A line for a terminal, which a click selects; what colors code takes the browser seconds to load."""
    return f'<pre class="lab-command">{escape(text)}</pre>'


def link_markup(text: str, address: str, *, help: str) -> str:
    """A link to a file, which looks like a button."""
    about = f'href="{escape(address)}" title="{escape(help)}"'
    return f'<a class="lab-link" {about} download>{escape(text)}</a>'


def table_markup(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the head is escaped, the cells of the rows are markup already."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="lab-table"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'
