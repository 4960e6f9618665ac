import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings
from cellnet.teacher import Teacher
from cellnet.teacher.encoder import pool
from cellnet.teacher.folders import find_teacher

CPU = torch.device("cpu")
MINILM = EmbeddingSettings(teacher="minilm", teacher_width=384, normalize=True)


def one_by_one(folder: Path, texts: list[str], pooling: str, max_tokens: int) -> np.ndarray:
    """The same embeddings without batches, padding or masks, in float64."""
    tokenizer, model = (
        AutoTokenizer.from_pretrained(folder),
        AutoModel.from_pretrained(folder).double().eval(),
    )
    rows = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        if len(ids) > max_tokens:
            ids = [*ids[: max_tokens - 1], ids[-1]]
        with torch.no_grad():
            tokens = model(torch.tensor([ids])).last_hidden_state[0].numpy()
        rows.append({"mean": tokens.mean(0), "cls": tokens[0], "max": tokens.max(0)}[pooling])
    return np.stack(rows)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [False, True])
def test_batches_give_what_single_texts_give(
    tiny_settings, tiny_folder, sentences, pooling, normalize
) -> None:
    settings = tiny_settings.replace(pooling=pooling, normalize=normalize, max_tokens=8)
    texts = [*sentences, "cube " * 30, ""]
    expected = one_by_one(tiny_folder, texts, pooling, max_tokens=8)
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = Teacher.load(settings, CPU).encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_minilm_equals_sentence_transformers() -> None:
    texts = [
        "A cube of cells.",
        "Neighbors look at each other, in steps; then the surface is read out.",
        "Why?",
    ]
    reference = SentenceTransformer(str(find_teacher("minilm")), device="cpu").encode(texts)
    found = Teacher.load(MINILM, CPU).encode(texts)
    np.testing.assert_allclose(found, reference, atol=1e-5)
    unscaled = Teacher.load(MINILM.replace(normalize=False), CPU).encode(texts)
    np.testing.assert_allclose(
        unscaled / np.linalg.norm(unscaled, axis=1, keepdims=True), reference, atol=1e-5
    )


def test_no_texts_give_no_rows(tiny_settings) -> None:
    assert Teacher.load(tiny_settings, CPU).encode([]).shape == (0, 32)


def test_the_model_is_frozen(tiny_settings, sentences) -> None:
    teacher = Teacher.load(tiny_settings, CPU)
    np.testing.assert_array_equal(teacher.encode(sentences), teacher.encode(sentences))
    assert teacher.width == 32
    assert teacher.name == tiny_settings.teacher
    assert teacher.tokenizer.padding_side == "right"


def test_pooling_ignores_padding() -> None:
    states = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [100.0, 100.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(states, mask, "mean").tolist() == [[2.0, -3.0]]
    assert pool(states, mask, "max").tolist() == [[3.0, -2.0]]
    assert pool(states, mask, "cls").tolist() == [[1.0, -2.0]]


def test_the_fingerprint_tells_all_that_decides_embeddings(tiny_settings, tiny_folder, tmp_path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    base = Teacher.load(tiny_settings, CPU).fingerprint
    assert Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU).fingerprint == base
    assert Teacher.load(tiny_settings.replace(teacher_batch_size=7), CPU).fingerprint == base
    changes = [{"pooling": "cls"}, {"normalize": True}, {"max_tokens": 9}]
    others = {Teacher.load(tiny_settings.replace(**change), CPU).fingerprint for change in changes}
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    others.add(Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU).fingerprint)
    assert len(others | {base}) == 5


def test_another_width_is_an_error_naming_both(tiny_settings) -> None:
    with pytest.raises(TeacherError, match=r"width 32, but embedding\.teacher_width is 768"):
        Teacher.load(tiny_settings.replace(teacher_width=768), CPU)


def test_too_many_tokens_is_an_error(tiny_settings) -> None:
    with pytest.raises(TeacherError, match=r"at most 64 tokens, but embedding\.max_tokens is 65"):
        Teacher.load(tiny_settings.replace(max_tokens=65), CPU)


def test_missing_parameters_never_start_at_random(tiny_settings, tiny_folder, tmp_path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["transformer.layer.1.ffn.lin1.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TeacherError, match=r"lack 1 parameters.*ffn\.lin1\.weight"):
        Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all, only words"])
def test_damaged_weights_are_an_error(tiny_settings, tiny_folder, tmp_path, content) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(TeacherError, match="cannot be loaded"):
        Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU)


def test_embeddings_that_are_not_finite_are_an_error(tiny_settings, tiny_folder, tmp_path) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    weights["embeddings.LayerNorm.bias"].fill_(float("nan"))
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TeacherError, match="not finite"):
        Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU).encode(["a cell"])
