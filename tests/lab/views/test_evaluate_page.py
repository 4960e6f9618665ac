"""The Evaluate page in Streamlit's own test runner, and its charts."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from lattice_page import charts, open_page, train
from plotly_figures import validated
from streamlit.testing.v1 import AppTest
from tiny_teacher import save_tiny_teacher
from training_data import PATIENCE, small_settings

from cellnet.errors import DataError
from cellnet.evaluation import Evaluation
from cellnet.settings import with_changes
from lab.figures.evaluate import differences_figure, gains_figure, novelty_figure, silenced_figure
from lab.server import install_service
from lab.sources.students import StudentShelf
from lab.training import Phase, TrainingService
from lab.views.evaluate.page import scores_markup
from lab.work.evaluations import Wish, evaluate_student, evaluation_of
from lab.work.work import Progress, Works


def measured(app: AppTest) -> AppTest:
    for _ in range(300):
        app.run()
        if charts(app) or app.error:
            return app
        time.sleep(0.1)  # the work and the reruns share the processor
    raise AssertionError("nothing was measured")


def shown(app: AppTest) -> str:
    return " ".join(part.proto.body for part in app.get("html"))


def test_before_the_first_training_the_page_says_what_to_do(service: TrainingService) -> None:
    app = open_page("evaluate")
    assert not app.exception
    assert "start a training on the page Train" in app.error[0].value


def test_a_student_is_measured_when_asked_for(service: TrainingService) -> None:
    train(service)
    app = open_page("evaluate")
    assert "Press Evaluate" in app.info[0].value
    app.button(key="evaluate_start").click().run()
    app = measured(app)
    assert not app.exception
    assert len(charts(app)) == 6
    for word in ("PCA", "MLP student", "teacher", "recall@10", "effective dimension"):
        assert word in shown(app)


def test_the_codes_can_be_refined(service: TrainingService) -> None:
    train(service)
    app = open_page("evaluate")
    app.button(key="evaluate_start").click().run()
    plain = measured(app).get("download_button")[0]
    assert "0 steps" in shown(app)
    app.selectbox(key="evaluate_refinement").set_value(3).run()
    app.button(key="evaluate_start").click().run()
    app = measured(app)
    assert not app.exception
    assert "3 steps" in shown(app)
    assert plain.proto.url != app.get("download_button")[0].proto.url


def test_what_goes_wrong_is_told_and_can_be_tried_again(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(service)
    app = open_page("evaluate")
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise DataError("the sentences have moved")

        broken.setattr("lab.work.evaluations.evaluate_student", fail)
        app.button(key="evaluate_start").click().run()
        assert "have moved" in measured(app).error[0].value
    app.button(key="evaluate_start").click().run()
    assert not measured(app).error
    assert len(charts(app)) == 6


def test_an_evaluation_ends_when_it_is_stopped(service: TrainingService) -> None:
    train(service)
    works, wish = Works(), Wish(StudentShelf(service).get(), 12, with_mlp=False)
    work = evaluation_of(service, wish)
    works.begin(work)
    works.cancel(work.key)
    assert works.wait(work.key, PATIENCE).cancelled
    works.begin(work)
    answer = works.wait(work.key, PATIENCE)
    assert not answer.error
    assert "mlp" not in answer.value.evaluation.scores
    works.close()


WORDS = ("a", "dog", "cat", "runs", "sleeps", "eats", "here", "there", "now", "today", "quietly")


@pytest.fixture
def read_service(tmp_path: Path) -> Iterator[TrainingService]:
    """A service that trains on a file, with a teacher that can embed more sentences."""
    random = np.random.default_rng(0)
    sentences = {" ".join(random.choice(WORDS, 5)) for _ in range(90)}
    (tmp_path / "sentences.txt").write_text("\n".join(sorted(sentences)), "utf-8")
    settings = with_changes(
        small_settings(max_steps=6),
        {
            "embedding.teacher": str(save_tiny_teacher(tmp_path / "teacher", WORDS)),
            "embedding.teacher_width": 32,
            "embedding.max_tokens": 16,
            "data.source": str(tmp_path / "sentences.txt"),
            "data.validation_fraction": 0.2,
            "data.cache_dir": str(tmp_path / "cache"),
        },
    )
    service = TrainingService(tmp_path / "runs", draft=settings)
    remove = install_service(service)
    service.start(settings)
    service.wait_for(lambda seen: seen.phase is Phase.FINISHED, PATIENCE)
    yield service
    remove()


PAIRS = b"""sentence1,sentence2,score
a dog runs,a cat sleeps,0
a dog eats,a cat eats,1
a dog here,a cat there,2
a dog now,a dog now,3
"""


def test_pairs_and_a_bank_are_uploaded_and_measured(read_service: TrainingService) -> None:
    app = open_page("evaluate")
    app.file_uploader(key="evaluate_pairs.upload").set_value(("pairs.csv", PAIRS, "text/csv")).run()
    bank = b"text,other\n" + b"".join(f"now {word} there,1\n".encode() for word in WORDS)
    app.file_uploader(key="evaluate_bank.upload").set_value(("bank.csv", bank, "text/csv")).run()
    chosen = {box.label: box.value for box in app.selectbox}
    assert chosen["Pairs with human scores"].startswith("pairs-")
    assert chosen["Bank of sentences"].startswith("bank-")
    assert chosen["Column"] == "text"
    app.toggle(key="evaluate_mlp").set_value(False)
    app.button(key="evaluate_start").click().run()
    app = measured(app)
    assert not app.exception
    assert not app.error
    assert "Spearman of the codes" in shown(app)
    said = " ".join(caption.value for caption in app.caption)
    assert "4 pairs" in said
    held_out = len(read_service.data_of(read_service.draft).validation)
    assert f"recall among {held_out + len(WORDS)}" in said


def test_pairs_without_scores_are_refused_with_what_is_missing(read_service: TrainingService) -> None:
    app = open_page("evaluate")
    content = ("pairs.csv", b"one,two\na,b\n", "text/csv")
    app.file_uploader(key="evaluate_pairs.upload").set_value(content).run()
    app.button(key="evaluate_start").click().run()
    assert "sentence1" in measured(app).error[0].value


@pytest.fixture
def evaluation(service: TrainingService) -> Evaluation:
    train(service)
    progress = Progress()
    student = StudentShelf(service).get()
    found = evaluate_student(service, Wish(student, 12, with_mlp=True), progress)
    assert found.evaluation.sentences == 12
    assert found.held_out == 16
    assert found.mlp_steps == student.step
    assert found.parameters["mlp"] == pytest.approx(found.parameters["student"], rel=0.02)
    assert progress.stage.done == progress.stage.total > 0
    return found.evaluation


def test_charts_show_values_and_intervals(evaluation: Evaluation) -> None:
    pca, mlp = validated(differences_figure(evaluation)).data
    gain = evaluation.differences["student_minus_pca"]["explained_variance"]
    assert pca.x[0] == gain.value
    assert pca.x[0] + pca.error_x.array[0] == pytest.approx(gain.high)
    assert mlp.x[0] - mlp.error_x.arrayminus[0] == pytest.approx(
        evaluation.differences["student_minus_mlp"]["explained_variance"].low
    )
    gains = validated(gains_figure(evaluation))
    assert [trace.name for trace in gains.data] == ["student", "PCA", "MLP student"]
    assert list(gains.data[0].x) == [0, 1, 2, 3]
    assert gains.data[0].y[3] == evaluation.scores["student"]["explained_variance"].value
    assert gains.data[1].y[0] == evaluation.scores["pca"]["explained_variance"].value
    novelty = validated(novelty_figure(evaluation.novelty))
    assert len(novelty.data[0].x) == len(evaluation.novelty) == 5
    assert novelty.data[2].y[4] == evaluation.novelty[4].scores["mlp"]["explained_variance"].value
    silenced = validated(silenced_figure(evaluation.expert_ablation)).data[0]
    assert dict(zip(silenced.x, silenced.y, strict=True)) == {
        tier: estimate.value for tier, estimate in evaluation.expert_ablation.items()
    }
    for figure in (gains, novelty):
        json.loads(figure.to_json())


def test_the_table_has_a_row_for_each_subject(evaluation: Evaluation) -> None:
    markup = scores_markup(evaluation)
    assert markup.count("<tr>") == 5
    score = evaluation.scores["student"]["mean_cosine"]
    assert f"{score.value:.4g} <small>[{score.low:.4g}, {score.high:.4g}]</small>" in markup
