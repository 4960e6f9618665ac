"""The Evaluate page in Streamlit's own test runner, and its charts."""

import json
import time

import pytest
from lattice_page import open_page, train
from streamlit.testing.v1 import AppTest

from cellnet.errors import DataError
from cellnet.evaluation import Evaluation
from lab.evaluations import Evaluated, Evaluations, Stage, Wish, evaluate_student
from lab.figures.evaluate import differences_figure, gains_figure, novelty_figure, silenced_figure
from lab.jobs import Answer
from lab.students import StudentShelf
from lab.training import TrainingService
from lab.views.evaluate import scores_markup


def measured(app: AppTest) -> AppTest:
    for _ in range(300):
        app.run()
        if app.get("plotly_chart") or app.error:
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
    assert len(app.get("plotly_chart")) == 6
    for word in ("PCA", "MLP student", "teacher", "recall@10", "effective dimension"):
        assert word in shown(app)


def test_what_goes_wrong_is_told_and_can_be_tried_again(
    service: TrainingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(service)
    app = open_page("evaluate")
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise DataError("the sentences have moved")

        broken.setattr("lab.evaluations.evaluate_student", fail)
        app.button(key="evaluate_start").click().run()
        assert "have moved" in measured(app).error[0].value
    app.button(key="evaluate_start").click().run()
    assert not measured(app).error
    assert len(app.get("plotly_chart")) == 6


def test_an_evaluation_ends_when_it_is_stopped(service: TrainingService) -> None:
    train(service)
    evaluations = Evaluations()
    wish = Wish(StudentShelf(service).get(), 12, with_mlp=False)

    def end() -> Answer[Evaluated]:
        answer, _ = evaluations.read(wish, service)
        while answer.pending:
            time.sleep(0.001)
            answer, _ = evaluations.read(wish, service)
        return answer

    evaluations.begin(wish)
    evaluations.stop()
    assert "was stopped" in end().error
    evaluations.begin(wish)
    assert not end().error
    found = end().value
    assert found is not None
    assert "mlp" not in found.evaluation.scores


@pytest.fixture
def evaluation(service: TrainingService) -> Evaluation:
    train(service)
    stage = Stage()
    student = StudentShelf(service).get()
    found = evaluate_student(service, student, sentences=12, with_mlp=True, stage=stage)
    assert found.evaluation.sentences == 12
    assert found.held_out == 16
    assert found.mlp_steps == student.step
    assert found.parameters["mlp"] == pytest.approx(found.parameters["student"], rel=0.02)
    assert stage.done == stage.total > 0
    return found.evaluation


def test_charts_show_values_and_intervals(evaluation: Evaluation) -> None:
    pca, mlp = differences_figure(evaluation).data
    gain = evaluation.differences["student_minus_pca"]["explained_variance"]
    assert pca.x[0] == gain.value
    assert pca.x[0] + pca.error_x.array[0] == pytest.approx(gain.high)
    assert mlp.x[0] - mlp.error_x.arrayminus[0] == pytest.approx(
        evaluation.differences["student_minus_mlp"]["explained_variance"].low
    )
    gains = gains_figure(evaluation)
    assert [trace.name for trace in gains.data] == ["student", "PCA", "MLP student"]
    assert list(gains.data[0].x) == [0, 1, 2, 3]
    assert gains.data[0].y[3] == evaluation.scores["student"]["explained_variance"].value
    assert gains.data[1].y[0] == evaluation.scores["pca"]["explained_variance"].value
    novelty = novelty_figure(evaluation.novelty)
    assert len(novelty.data[0].x) == len(evaluation.novelty) == 5
    assert novelty.data[2].y[4] == evaluation.novelty[4].scores["mlp"]["explained_variance"].value
    silenced = silenced_figure(evaluation.expert_ablation).data[0]
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
