"""The Evaluate page: a student next to its teacher, PCA and an MLP of equal size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

import streamlit as st
from markupsafe import Markup

from cellnet.cli.output import to_json
from cellnet.data import list_columns
from cellnet.errors import DataError
from cellnet.evaluation import LEVEL, SCORES, Estimate, Evaluation, as_dict
from lab.components import run_when_newer
from lab.components.chart import chart
from lab.components.choice import Choice
from lab.figures.evaluate import (
    NAMES,
    SHARES,
    differences_figure,
    gains_figure,
    novelty_figure,
    silenced_figure,
)
from lab.figures.inline import part
from lab.figures.markup import facts_line, markup, table_markup
from lab.figures.routing import norms_figure, similarity_figure
from lab.sources.students import Student
from lab.sources.uploads import KINDS
from lab.training import TrainingService
from lab.widgets.forms import field_help
from lab.widgets.upload import choose_column, choose_upload
from lab.work.evaluations import Evaluated, Files, Wish, evaluation_of
from lab.work.work import Works

_SIZES: Final = {200: "200", 500: "500", 1000: "1,000", 3000: "3,000", 0: "all"}
_REFINEMENTS: Final = {-1: "as the run", 0: "none", 1: "1 step", 2: "2 steps", 3: "3 steps", 6: "6 steps"}
_ASKED: Final = "evaluate_asked"
_PAIRS: Final = Choice("evaluate_pairs")
_BANK: Final = Choice("evaluate_bank")
_PAIR_SCORES: Final = {"spearman": "Spearman", "spearman_code": "Spearman of the codes"}


def ask(service: TrainingService, works: Works, student: Student) -> None:
    """Draw the size of an evaluation, and the button that begins it."""
    sizes, refinement_place, mlp_place, more, button = st.columns(
        [4, 2, 3, 2, 2], vertical_alignment="bottom"
    )
    sentences = sizes.segmented_control(
        "Held-out sentences",
        list(_SIZES),
        format_func=_SIZES.__getitem__,
        default=500,
        required=True,
        key="evaluate_sentences",
        help="At most so many of the sentences that the run holds out, drawn at random but always the "
        "same. More sentences take longer and give narrower intervals.",
        bind="query-params",
    )
    refinement = refinement_place.selectbox(
        "Code refinement",
        list(_REFINEMENTS),
        format_func=_REFINEMENTS.__getitem__,
        key="evaluate_refinement",
        help=field_help("embedding.refinement_steps"),
        bind="query-params",
    )
    if refinement >= 0:
        student = replace(student, model=student.model.refining(refinement))
    with_mlp = mlp_place.toggle(
        "Compare with an MLP student",
        value=True,
        key="evaluate_mlp",
        help="An MLP with as many parameters, trained here with the same data, batches, optimizer and "
        "number of steps. It shows what the cube adds beyond its size.",
        bind="query-params",
    )
    with more.popover(
        "Pairs and bank",
        help="Files of your own: pairs that people scored, and more sentences to be found among.",
        width="stretch",
    ):
        files = _choose_files(service.store.root)
    if button.button(
        "Evaluate",
        key="evaluate_start",
        type="primary",
        help="Takes a minute or more, on the CPU; the pages stay usable meanwhile. A training that runs "
        "at the same time becomes slower.",
        width="stretch",
    ):
        wish = st.session_state[_ASKED] = Wish(student, sentences, with_mlp, files)
        works.begin(evaluation_of(service, wish))
    results(service, works, student)


def _choose_files(root: Path) -> Files:
    """Pairs with human scores, and more sentences to be found among."""
    pairs = choose_upload(
        root,
        _PAIRS,
        "Pairs with human scores",
        kinds=(".csv",),
        help="Columns sentence1, sentence2 and score. Measured is how well the cosines of the pairs rank "
        "them as people did (Spearman's correlation), for the reconstructions and for the codes.",
    )
    bank = choose_upload(
        root,
        _BANK,
        "Bank of sentences",
        kinds=KINDS,
        help="More sentences among which the reconstruction must find its own: recall is measured among "
        "these and the evaluated ones.",
    )
    if bank is None:
        return Files(pairs)
    try:
        column = choose_column(list_columns(bank), f"evaluate_column.{bank.name}")
    except DataError as error:
        st.error(str(error))
        return Files(pairs)
    return Files(pairs, bank, column)


@st.fragment
def results(service: TrainingService, works: Works, student: Student) -> None:
    """Draw the newest evaluation, and the progress of the one under way."""
    wish: Wish | None = st.session_state.get(_ASKED)
    if wish is None or wish.student.run != student.run:
        st.info("Nothing measured yet. Press Evaluate: the scores appear here, with their intervals.")
        return
    work = evaluation_of(service, wish)
    run_when_newer(lambda: works.state(work), key="evaluate")
    answer = works.follow(work)
    waiting = answer.pending or (answer.value is None and not answer.error)
    if waiting:
        bar, button = st.columns([9, 1], vertical_alignment="bottom")
        stage = answer.stage
        bar.progress(
            stage.share,
            f"{stage.label}{f': {stage.done:,} of {stage.total:,}' if stage.total else ' ...'}",
        )
        button.button(
            "Stop it",
            key="evaluate_stop",
            on_click=works.cancel,
            args=(work.key,),
            help="End this evaluation; nothing of it is kept.",
            width="stretch",
        )
    elif answer.cancelled:
        st.error("the evaluation was stopped; press Evaluate to begin it again")
    elif answer.error:
        st.error(answer.error)
    if answer.value is not None:
        show(answer.value, wish.student)


def show(found: Evaluated, student: Student) -> None:
    """All figures of an evaluation."""
    evaluation = found.evaluation
    st.html(facts_line(_facts(found, student)))
    st.html(scores_markup(evaluation))
    st.caption(
        f"kNN overlap is among the evaluated sentences, recall among {evaluation.bank:,}. Novelty is the "
        "cosine to the nearest training sentence. Brackets and bars: bootstrap intervals over sentences."
    )
    for line in found.read:
        st.caption(line)
    differences, gains, novelty = st.columns(3, gap="large")
    level = f"{LEVEL:.0%} intervals, {evaluation.resamples:,} resamples"
    with differences:
        st.html(part("What the student is better in", "", f"paired {level}"))
        chart(
            differences_figure(evaluation),
            key="evaluate_differences",
            label="What the student is better in than the others, with intervals",
            tools=True,
        )
    with gains:
        st.html(part("Gain per lattice step", "", level))
        chart(
            gains_figure(evaluation),
            key="evaluate_gains",
            label="Explained variance gained with each lattice step",
            tools=True,
        )
    with novelty:
        st.html(part("By novelty", "", f"{len(evaluation.novelty)} bands of equally many sentences"))
        chart(
            novelty_figure(evaluation.novelty),
            key="evaluate_novelty",
            label="Scores by novelty of the sentences",
            tools=True,
        )
    silenced, norms, similarity = st.columns(3, gap="large")
    lattice = evaluation.lattice
    with silenced:
        st.html(part("Each expert silenced", "", f"{lattice.sentences:,} sentences"))
        chart(
            silenced_figure(evaluation.expert_ablation),
            key="evaluate_silenced",
            label="What each expert silenced costs",
            tools=True,
        )
    with norms:
        st.html(part("Output norm", "", "before the gate"))
        chart(
            norms_figure(lattice.experts),
            key="evaluate_norms",
            label="Norm of what each expert gives in each lattice step",
            tools=True,
        )
    with similarity:
        steps = len(lattice.experts.similarity)
        st.html(part("Similarity of what they propose (linear CKA)", "", f"lattice step {steps}"))
        chart(
            similarity_figure(lattice.experts, steps),
            key="evaluate_cka",
            label="Similarity of each pair of experts",
            tools=True,
        )
    st.download_button(
        "Download as JSON",
        json.dumps(json.loads(to_json(as_dict(evaluation))), indent=1),
        file_name=f"evaluation-{student.run}-{student.step}.json",
        mime="application/json",
        help="All figures with their intervals, as cellnet evaluate --json prints them.",
    )


def scores_markup(evaluation: Evaluation) -> Markup:
    """Return the scores of each subject, with their intervals, as a table."""
    labels = {"mse": "MSE"} | SHARES | _PAIR_SCORES
    names = [*SCORES, *(_PAIR_SCORES if evaluation.pairs else ())]
    rows = [
        [NAMES[who], *(_cell(scores.get(name)) for name in names)]
        for who, scores in evaluation.scores.items()
    ]
    return table_markup(["", *(labels[name] for name in names)], rows)


def _cell(score: Estimate | None) -> str | Markup:
    if score is None:
        return ""
    if score.low == score.high:
        return f"{score.value:.4g}"
    interval = f"[{score.low:.4g}, {score.high:.4g}]"
    return markup(
        "{{ value }} <small>{{ interval }}</small>", value=f"{score.value:.4g}", interval=interval
    )


def _facts(found: Evaluated, student: Student) -> dict[str, str]:
    evaluation = found.evaluation
    mass = ", ".join(f"{tier} {share:.2f}" for tier, share in evaluation.gate_mass.items())
    facts = {
        "training step": f"{student.step:,}",
        "code refinement": f"{student.model.settings.embedding.refinement_steps} steps",
        "sentences": f"{evaluation.sentences:,} of {found.held_out:,} held out",
        "cosine of a constant answer": f"{evaluation.mean_vector_cosine:.4f}",
        "gate": f"{mass}; entropy {evaluation.gate_entropy:.2f}",
    }
    if evaluation.lattice.interior is not None:
        interior = evaluation.lattice.interior
        facts["effective dimension of the interior"] = (
            f"{interior.effective_dimension:.1f} of {interior.highest}"
        )
    if found.mlp_steps is not None:
        facts["MLP student"] = (
            f"{found.parameters['mlp']:,} parameters (the student {found.parameters['student']:,}), "
            f"{found.mlp_steps:,} steps"
        )
    return facts
