"""An evaluation as tables for people; everything comes from the values that ``--json`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cellnet.cli.output import table
from cellnet.evaluation import SCORES, WHO

_NAMES = {"student": "student", "teacher": "teacher", "pca": "PCA", "mlp": "MLP"}


def evaluation_text(values: dict[str, Any]) -> str:
    """Return the readable form; what was not asked for is named, with the flag that asks for it."""
    return "\n\n".join(
        part
        for part in (
            _head(values),
            _scores(values),
            _notes(values),
            _differences(values),
            _novelty(values),
            _steps(values),
            _experts(values),
            _interior(values),
        )
        if part
    )


def _head(values: dict[str, Any]) -> str:
    seen = f", of which {values['in_training']} were trained on" if values["in_training"] else ""
    return f"{values['model']} on {values['sentences']} sentences ({values['data']}){seen}"


def _measured(values: dict[str, Any]) -> list[str]:
    return [who for who in WHO if values[who] is not None]


def _scores(values: dict[str, Any]) -> str:
    names = [*SCORES, *(("spearman", "spearman_code") if values["pairs"] else ())]
    rows = [(_NAMES[who], *(values[who].get(name) for name in names)) for who in _measured(values)]
    return table(rows, ("", *names))


def _notes(values: dict[str, Any]) -> str:
    bank = values["bank"]
    lines = [
        f"mean cosine of a constant answer: {values['mean_vector_cosine']:.4f}",
        f"recall: among {values['bank_sentences']} sentences"
        + (
            " (the evaluated ones; --bank FILE adds others)"
            if bank is None
            else f" (the evaluated ones and {bank['added']} of {bank['file']})"
        ),
    ]
    if values["pairs"]:
        bad = values["bad_pairs"]
        shown = ", ".join(f"{row['line']} ({row['reason']})" for row in bad[:5])
        more = ", ..." if len(bad) > 5 else ""
        lines.append(
            f"spearman: {values['pairs']} pairs of {values['pairs_file']}"
            + (f"; {len(bad)} left out, by line: {shown}{more}" if bad else "")
        )
    else:
        lines.append("spearman: not measured; --pairs FILE.csv gives pairs with human scores")
    mlp, parameters = values["mlp_training"], values["parameters"]
    if mlp is None:
        lines.append("MLP student: left out (--no-mlp)")
    else:
        lines.append(
            f"MLP student: {parameters['mlp']:,} parameters (the student {parameters['student']:,}), "
            f"{mlp['steps']} steps, seed and batches of the student"
        )
    return "\n".join(lines)


def _differences(values: dict[str, Any]) -> str:
    columns = {
        f"student - {_NAMES[name.removeprefix('student_minus_')]}": scores
        for name, scores in values["differences"].items()
        if scores is not None
    }
    names = next(iter(columns.values()))
    rows = [
        (name, *(_estimate(**scores[name], form=_form(name)) for scores in columns.values()))
        for name in names
    ]
    level = values["intervals"]["level"]
    return (
        f"{table(rows, ('score', *columns))}\n"
        f"[{level:.0%} intervals: paired bootstrap, {values['intervals']['resamples']} resamples]"
    )


def _novelty(values: dict[str, Any]) -> str:
    if not values["novelty"]:
        return "novelty: not measured, since there are no training sentences"
    who = _measured(values)
    rows = []
    for band in values["novelty"]:
        nearest = f"{band['lowest_cosine']:.3f} to {band['highest_cosine']:.3f}"
        explained = (band[name]["explained_variance"] for name in who if name != "teacher")
        gains = (
            _estimate(**scores["explained_variance"])
            for scores in band["differences"].values()
            if scores is not None
        )
        rows.append((nearest, band["sentences"], *explained, *gains))
    others = [_NAMES[name] for name in who if name in ("pca", "mlp")]
    header = (
        "nearest training sentence",
        "sentences",
        *(_NAMES[name] for name in who if name != "teacher"),
        *(f"student - {name}" for name in others),
    )
    return f"explained variance by novelty (cosine to the nearest training sentence)\n{table(rows, header)}"


def _steps(values: dict[str, Any]) -> str:
    gain = values["lattice_gain"]
    columns = [("over PCA", "over_pca"), ("over MLP", "over_mlp"), ("over step 0", "over_first")]
    shown = [(label, key) for label, key in columns if gain[key] is not None]
    rows = [
        (
            step,
            explained,
            *(_estimate(gain[key][step], *gain["intervals"][key][step]) for _, key in shown),
        )
        for step, explained in enumerate(gain["explained_variance"])
    ]
    return table(rows, ("step", "explained variance", *(label for label, _ in shown)))


def _experts(values: dict[str, Any]) -> str:
    experts, intervals = values["experts"], values["intervals"]["expert_ablation"]
    names = experts["order"]
    rows = []
    for place, name in enumerate(names):
        low, high = intervals[name]
        rows.append(
            (
                name,
                values["gate_mass"][name],
                f"{values['expert_ablation'][name]:+.2%} [{low:+.2%}, {high:+.2%}]",
                _mean([step[place] for step in experts["output_norm"]]),
                *(_mean([step[place][other] for step in experts["cka"]]) for other in range(len(names))),
            )
        )
    similar = (f"CKA {name}" for name in names)
    header = ("expert", "gate mass", "loss when silenced", "output rms", *similar)
    return (
        f"{table(rows, header)}\ngate entropy (1 is even): {values['gate_entropy']:.3f}; "
        f"silenced, rms and CKA (means over steps) on {experts['sentences']} sentences"
    )


def _interior(values: dict[str, Any]) -> str:
    interior = values["interior"]
    if interior is None:
        return "effective dimension of the interior: there is no interior"
    return (
        f"effective dimension of the interior's answer: {interior['effective_dimension']:.1f} of at most "
        f"{interior['highest']} ({interior['sentences']} sentences)"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _form(score: str) -> str:
    return "+.2e" if score == "mse" else "+.4f"


def _estimate(value: float, low: float, high: float, form: str = "+.4f") -> str:
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
