"""Texts to codes, and the evaluators of sentence-transformers on a student as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sentence_transformers.sentence_transformer.evaluation import (
    BinaryClassificationEvaluator,
    EmbeddingSimilarityEvaluator,
    InformationRetrievalEvaluator,
    MSEEvaluator,
    ParaphraseMiningEvaluator,
    RerankingEvaluator,
    TripletEvaluator,
)
from tiny_teacher import save_tiny_teacher

from cellnet import CellNet, Teacher
from cellnet.errors import TeacherError
from cellnet.settings import Settings, preset, with_changes

CPU = torch.device("cpu")
WORDS = [f"word{number}" for number in range(40)]
TEXTS = [" ".join(np.random.default_rng(row).choice(WORDS, 1 + row % 7)) for row in range(30)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = save_tiny_teacher(tmp_path_factory.mktemp("teacher"), WORDS)
    return with_changes(
        preset("quickstart"),
        {
            "lattice.dimensions": (5, 5, 5),
            "lattice.adaptive_radius_ratio": 0.35,
            "model.state_size": 8,
            "model.steps": 2,
            "embedding.teacher": str(folder),
            "embedding.teacher_width": 32,
            "embedding.max_tokens": 16,
            "embedding.teacher_batch_size": 4,
        },
    )


@pytest.fixture(scope="module")
def teacher(settings: Settings) -> Teacher:
    return Teacher.load(settings.embedding, CPU)


@pytest.fixture
def student(settings: Settings, teacher: Teacher) -> CellNet:
    return CellNet(settings).attach_teacher(teacher)


def expected_codes(student: CellNet) -> np.ndarray:
    """One text after the other."""
    rows = [torch.from_numpy(student.teacher.encode([text])) for text in TEXTS]
    with torch.no_grad():
        return np.concatenate([student(row).surface_in.flatten(1).numpy() for row in rows])


def test_codes_come_in_the_order_of_the_texts_whatever_the_batch(student: CellNet) -> None:
    expected = expected_codes(student)
    for size in (1, 7, 64):
        codes = student.encode(TEXTS, batch_size=size)
        assert codes.dtype == np.float32
        assert codes.shape == (30, 25)
        np.testing.assert_allclose(codes, expected, atol=1e-5)
    np.testing.assert_allclose(student.encode(np.array(TEXTS)), expected, atol=1e-5)
    np.testing.assert_allclose(student.encode(TEXTS[3]), expected[3], atol=1e-5)
    assert student.encode(TEXTS[3]).shape == (25,)
    assert student.encode([]).shape == (0, 25)


def test_what_is_returned_is_what_the_flags_say(
    student: CellNet, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = torch.from_numpy(expected_codes(student))
    tensor = student.encode(TEXTS, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert not tensor.requires_grad
    assert torch.allclose(tensor, expected, atol=1e-5)
    several = student.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(several, list)
    assert len(several) == 30
    assert torch.allclose(several[4], expected[4], atol=1e-5)
    one = student.encode(TEXTS[0], convert_to_numpy=False)
    assert isinstance(one, torch.Tensor)
    assert one.shape == (25,)
    unit = student.encode(TEXTS, normalize_embeddings=True, truncate_dim=10)
    assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(30), abs=1e-6)
    cut = expected[:, :10] / expected[:, :10].norm(dim=1, keepdim=True)
    np.testing.assert_allclose(unit, cut, atol=1e-5)
    prompted = student.encode(TEXTS[1:2], prompt="word3 ")
    np.testing.assert_allclose(prompted, student.encode([f"word3 {TEXTS[1]}"]), atol=1e-6)
    assert "Batches" not in capfd.readouterr().err
    student.encode(TEXTS, show_progress_bar=True)
    assert "Batches" in capfd.readouterr().err


def test_a_missing_or_unfit_teacher_is_an_error(settings: Settings, tmp_path: Path) -> None:
    student = CellNet(settings)
    with pytest.raises(TeacherError, match=r"attach_teacher.*from_pretrained"):
        student.encode("word1")
    other = settings.embedding.replace(pooling="cls")
    with pytest.raises(TeacherError, match=r"embedding.pooling 'cls', but the student.*'mean'"):
        student.attach_teacher(Teacher.load(other, CPU))
    student.save_pretrained(tmp_path / "saved")
    loaded = CellNet.from_pretrained(tmp_path / "saved", teacher=Teacher.load(settings.embedding, CPU))
    assert loaded.encode("word1").shape == (25,)
    assert set(loaded.state_dict()) == set(student.state_dict())


@pytest.mark.parametrize(
    "options", [{"prompt_name": "query"}, {"precision": "int8"}, {"batch_size": 0}, {"truncate_dim": 26}]
)
def test_what_cannot_be_done_is_refused(student: CellNet, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        student.encode(TEXTS, **options)


def test_similarity_is_the_cosine(student: CellNet) -> None:
    codes = student.encode(TEXTS[:6])
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    np.testing.assert_allclose(student.similarity(codes, codes[:2]), unit @ unit[:2].T, atol=1e-6)
    np.testing.assert_allclose(student.similarity(list(codes), codes[0])[:, 0], unit @ unit[0], atol=1e-6)
    np.testing.assert_allclose(
        student.similarity_pairwise(torch.from_numpy(codes), codes[::-1].copy()),
        (unit * unit[::-1]).sum(axis=1),
        atol=1e-6,
    )


def test_the_similarity_evaluator_finds_spearman_of_the_codes(student: CellNet) -> None:
    scores = np.random.default_rng(0).random(15)
    found = EmbeddingSimilarityEvaluator(TEXTS[:15], TEXTS[15:], scores.tolist(), name="pairs")(student)
    codes = expected_codes(student)
    cosines = student.similarity_pairwise(codes[:15], codes[15:]).numpy()
    expected = stats.spearmanr(cosines, scores).statistic
    assert found["pairs_spearman_cosine"] == pytest.approx(expected, abs=1e-6)
    assert student.model_card_data.metrics["pairs_spearman_cosine"] == found["pairs_spearman_cosine"]


def test_the_retrieval_evaluator_counts_what_is_nearest(student: CellNet) -> None:
    corpus = {f"d{row}": text for row, text in enumerate(TEXTS)}
    queries = {f"q{row}": " ".join(reversed(TEXTS[row].split())) for row in range(10)}
    relevant = {f"q{row}": {f"d{row}"} for row in range(10)}
    found = InformationRetrievalEvaluator(queries, corpus, relevant, name="bank")(student)
    similarity = student.similarity(student.encode(list(queries.values())), student.encode(TEXTS))
    hits = (similarity.argmax(dim=1) == torch.arange(10)).double().mean()
    assert hits > 0
    assert found["bank_cosine_accuracy@1"] == pytest.approx(float(hits))


def test_the_triplet_evaluator_compares_cosines(student: CellNet) -> None:
    anchors, positives, negatives = TEXTS[:10], TEXTS[10:20], TEXTS[20:]
    found = TripletEvaluator(anchors, positives, negatives, name="three")(student)
    codes = [student.encode(texts) for texts in (anchors, positives, negatives)]
    near, far = (student.similarity_pairwise(codes[0], other) for other in codes[1:])
    assert found["three_cosine_accuracy"] == pytest.approx(float((near > far).double().mean()))


def test_the_other_evaluators_accept_the_student(student: CellNet, teacher: Teacher) -> None:
    labels = [row % 2 for row in range(15)]
    binary = BinaryClassificationEvaluator(TEXTS[:15], TEXTS[15:], labels, name="binary")(student)
    assert 0.5 <= binary["binary_cosine_accuracy"] <= 1.0
    texts = {str(row): text for row, text in enumerate(TEXTS)}
    mined = ParaphraseMiningEvaluator(texts, [("0", "1"), ("2", "3")], name="mined")(student)
    assert 0.0 <= mined["mined_average_precision"] <= 1.0
    samples = [{"query": TEXTS[0], "positive": [TEXTS[0]], "negative": TEXTS[1:9]}]
    ranked = RerankingEvaluator(samples, name="ranked", show_progress_bar=False)(student)
    assert ranked["ranked_mrr@10"] == 1.0
    same = MSEEvaluator(TEXTS, TEXTS, teacher_model=student, name="same")(student)
    assert same["same_negative_mse"] == pytest.approx(0.0, abs=1e-9)
