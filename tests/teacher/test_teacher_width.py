import json
from pathlib import Path

import pytest
import torch

from cellnet import CellNet, Settings, preset
from cellnet.errors import SettingsError, TeacherError
from cellnet.settings import EmbeddingSettings, with_changes
from cellnet.teacher import Teacher, find_width, resolve_teacher, width
from cellnet.teacher.folders import BUNDLED


def settings_of(folder: Path) -> Settings:
    return with_changes(Settings(), {"embedding.teacher": str(folder), "embedding.teacher_width": 0})


def test_the_width_of_a_transformer_comes_from_its_configuration(tmp_path, tiny_folder) -> None:
    assert find_width(EmbeddingSettings(teacher=str(tiny_folder))) == 32
    (tmp_path / "model.safetensors").touch()
    for config, expected in (({"dim": 768}, 768), ({"hidden_size": 12, "dim": 5}, 12)):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert find_width(EmbeddingSettings(teacher=str(tmp_path))) == expected
    for broken in (
        [],
        {"vocab_size": 3},
        {"hidden_size": "12"},
        {"d_model": 8, "is_encoder_decoder": True},
    ):
        (tmp_path / "config.json").write_text(json.dumps(broken))
        with pytest.raises(TeacherError, match="encoder"):
            find_width(EmbeddingSettings(teacher=str(tmp_path)))


@pytest.mark.parametrize("name", BUNDLED)
def test_the_table_tells_the_width_of_bundled_teachers(name, monkeypatch) -> None:
    settings = EmbeddingSettings(teacher=name, teacher_width=0)
    loaded = Teacher.load(settings, torch.device("cpu")).width
    monkeypatch.setattr(width, "Teacher", None)
    assert find_width(settings) == loaded


def test_own_modules_tell_the_width_that_they_end_with(dense_folder) -> None:
    settings = EmbeddingSettings(teacher=str(dense_folder), pooling="own", normalize=True, max_tokens=20)
    assert find_width(settings) == 12


def test_a_width_that_is_left_open_is_asked_for_once(tiny_folder, monkeypatch) -> None:
    resolved = resolve_teacher(settings_of(tiny_folder))
    assert resolved == with_changes(settings_of(tiny_folder), {"embedding.teacher_width": 32})
    monkeypatch.setattr(width, "find_width", None)
    assert resolve_teacher(resolved) is resolved
    assert resolve_teacher(preset("seed")) == preset("seed")


def test_a_loaded_teacher_has_the_width_in_its_settings(tiny_settings) -> None:
    teacher = Teacher.load(tiny_settings.replace(teacher_width=0), torch.device("cpu"))
    assert teacher.settings == tiny_settings


def test_a_student_needs_a_number(tiny_folder) -> None:
    with pytest.raises(SettingsError, match=r"embedding\.teacher_width: 0 .*cellnet\.resolve_teacher"):
        CellNet(settings_of(tiny_folder))
    assert CellNet(resolve_teacher(settings_of(tiny_folder))).settings.embedding.teacher_width == 32


def test_one_number_is_no_embedding() -> None:
    with pytest.raises(SettingsError, match="at least 2, or 0 to ask the teacher"):
        EmbeddingSettings(teacher_width=1)
