"""The status of a training as text and HTML."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from lab.figures.markup import markup
from lab.figures.words import duration
from lab.training import Phase, Snapshot

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


def status_markup(snapshot: Snapshot) -> Markup:
    """Return state, facts and progress of a training."""
    return markup(
        '<div class="lab-status" data-state="{{ word }}" data-step="{{ step }}">'
        '<span class="lab-state"><i style="background: {{ color }}"></i>{{ word.capitalize() }}</span>'
        "{% for name, value in facts.items() %}"
        '<span class="lab-fact"><small>{{ name }}</small>'
        '{% if name == slow %}<i class="lab-slow"></i>{% endif %}{{ value }}</span>{% endfor %}'
        '</div><div class="lab-track">'
        '<div style="width: {{ width }}%; background: {{ color }}"></div></div>',
        word="stopping" if snapshot.stopping else snapshot.ordered or snapshot.phase.value,
        step=snapshot.step,
        color=STATE_COLORS[snapshot.phase],
        facts=status_facts(snapshot),
        slow=_STEP_TIME if snapshot.is_slow else "",
        width=f"{100 * progress_share(snapshot):.1f}",
    )


def status_facts(snapshot: Snapshot) -> dict[str, str]:
    """Return the figures of the status bar, by name; what is unknown is left out."""
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
    """Return the share that is done of what is going on, 0 to 1."""
    doing = snapshot.preparation
    done, total = (doing.done, doing.total) if doing else (snapshot.step, snapshot.max_steps)
    return done / total if total else 0.0
