import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings
from cellnet.teacher import Teacher, teacher_fingerprint
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
    reference = SentenceTransformer(str(find_teacher("minilm").path), device="cpu").encode(texts)
    own = Teacher.load(MINILM.replace(pooling="own"), CPU).encode(texts)
    np.testing.assert_array_equal(own, reference)
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


def test_own_modules_are_prompt_pooling_dense_layer_and_scaling(
    dense_folder, tiny_folder, sentences
) -> None:
    settings = EmbeddingSettings(
        teacher=str(dense_folder), teacher_width=12, pooling="own", normalize=True, max_tokens=20
    )
    prompted = [f"the far cell {text}" for text in sentences]
    pooled = [one_by_one(tiny_folder, prompted, pooling, max_tokens=20) for pooling in ("cls", "mean")]
    layer = load_file(next(dense_folder.glob("*_Dense")) / "model.safetensors")
    weight, bias = (layer[f"linear.{name}"].double().numpy() for name in ("weight", "bias"))
    hidden = torch.from_numpy(np.concatenate(pooled, axis=1) @ weight.T + bias)
    expected = torch.nn.functional.normalize(torch.nn.functional.gelu(hidden), dim=1).numpy()
    teacher = Teacher.load(settings, CPU)
    assert teacher.width == 12
    np.testing.assert_allclose(teacher.encode(sentences), expected, atol=2e-6)


def test_own_modules_and_settings_that_contradict_each_other_are_errors(
    dense_folder, tiny_settings
) -> None:
    dense = tiny_settings.replace(teacher=str(dense_folder), teacher_width=0)
    with pytest.raises(TeacherError, match=r"set embedding\.normalize = true"):
        Teacher.load(dense.replace(pooling="own"), CPU)
    with pytest.raises(TeacherError, match=r"also has the modules Dense.*embedding\.pooling = 'own'"):
        Teacher.load(dense, CPU)
    with pytest.raises(TeacherError, match=r"without modules of its own; set embedding\.pooling = 'mean'"):
        Teacher.load(tiny_settings.replace(pooling="own"), CPU)
    with pytest.raises(TeacherError, match="at most 20 tokens"):
        Teacher.load(dense.replace(pooling="own", normalize=True, max_tokens=21), CPU)


def test_normalize_scales_what_own_modules_do_not(tiny_folder, tiny_settings, sentences, tmp_path) -> None:
    SentenceTransformer(str(tiny_folder), device="cpu").save(str(tmp_path), create_model_card=False)
    own = tiny_settings.replace(teacher=str(tmp_path), pooling="own")
    plain, scaled = (
        Teacher.load(own.replace(normalize=scale), CPU).encode(sentences) for scale in (False, True)
    )
    np.testing.assert_allclose(plain, Teacher.load(tiny_settings, CPU).encode(sentences), atol=1e-6)
    np.testing.assert_allclose(scaled, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)


def test_an_encoder_without_a_transformer(tiny_folder, sentences, tmp_path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 6)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu").save(
        str(tmp_path), create_model_card=False
    )
    settings = EmbeddingSettings(teacher=str(tmp_path), teacher_width=6, pooling="own", max_tokens=4)
    tokens = [tokenizer.encode(text, add_special_tokens=False).ids[:4] for text in sentences]
    expected = np.stack([table[ids].mean(axis=0) for ids in tokens])
    np.testing.assert_allclose(Teacher.load(settings, CPU).encode(sentences), expected, atol=1e-6)
    with pytest.raises(TeacherError, match=r"begins with StaticEmbedding.*embedding\.pooling = 'own'"):
        Teacher.load(settings.replace(pooling="mean"), CPU)


def test_the_fingerprint_of_own_modules_tells_prompt_and_dense_layer(dense_folder, tmp_path) -> None:
    settings = EmbeddingSettings(
        teacher=str(dense_folder), teacher_width=0, pooling="own", normalize=True, max_tokens=20
    )
    copy = shutil.copytree(dense_folder, tmp_path / "copy")
    seen = {teacher_fingerprint(settings), Teacher.load(settings, CPU).fingerprint}
    copied = settings.replace(teacher=str(copy))
    seen.add(teacher_fingerprint(copied))
    (copy / "README.md").write_text("a card decides nothing")
    seen.add(teacher_fingerprint(copied))
    assert len(seen) == 1
    for name in ("config_sentence_transformers.json", "2_Dense/config.json", "1_Pooling/config.json"):
        (copy / name).write_text((copy / name).read_text() + " ")
        seen.add(teacher_fingerprint(copied))
    assert len(seen) == 4


def test_weights_are_used_as_float32(tiny_settings, tiny_folder, tmp_path, sentences) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    AutoModel.from_pretrained(copy, dtype=torch.float16).save_pretrained(copy)
    teacher = Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU)
    expected = one_by_one(copy, sentences, "mean", max_tokens=16)
    np.testing.assert_allclose(teacher.encode(sentences), expected, atol=2e-6)


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
