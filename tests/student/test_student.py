"""The student as one module: saved and loaded bit for bit, seeded, and free of global state."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cellnet.errors import CheckpointError, SettingsError
from cellnet.lattice import cells
from cellnet.lattice.sums import take_rows
from cellnet.settings import Settings, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.damage import Intervention
from cellnet.student.student import DESCRIPTION_FILE, MODEL_FILE, SETTINGS_FILE, CellNet

THREE_TIERS = {
    "adaptive_radius_ratio": 0.44,
    "local_distance_ratio": 0.6,
    "functional_distance_ratio": 0.85,
}


def make_settings(**groups: Any) -> Settings:
    return Settings(
        **{
            "lattice": {"dimensions": (4, 4, 4), **THREE_TIERS},
            "model": {"state_size": 6, "steps": 2},
            "embedding": {"teacher_width": 20, "hidden_size": 8},
            **groups,
        }
    )


def randomized(settings: Settings) -> CellNet:
    model = CellNet(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_forward_gives_all_its_parts() -> None:
    model = randomized(make_settings())
    found = model(torch.randn(3, 20), keep_trace=True)
    assert found.embeddings.shape == (3, 20)
    assert found.surface_in.shape == (3, 4, 4)
    assert found.surface_out.shape == (3, 4, 4, 6)
    assert found.lattice.final.shape == (3, 64, 6)
    assert len(found.lattice.trace) == 2
    read = model.extractor(found.lattice.end, found.lattice.start)
    torch.testing.assert_close(found.embeddings, model.codec.decode(read))
    assert model.interior.tolist() == [21, 22, 25, 26, 37, 38, 41, 42]


def test_cells_are_reordered_where_a_code_enters_and_where_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, taken = randomized(make_settings()), []

    def count(values: Tensor, rows: Tensor) -> Tensor:
        taken.append(len(rows))
        return take_rows(values, rows)

    monkeypatch.setattr(cells, "take_rows", count)
    model(torch.randn(3, 20), keep_trace=True)
    placed = len(model.extractor.cells)
    assert taken == [64, placed, placed]  # all cells once; then those of the surface, at end and start


def test_an_untrained_student_is_pca_of_its_width() -> None:
    generator = np.random.default_rng(0)
    y = (generator.standard_normal((200, 20)) @ generator.standard_normal((20, 20)) + 1.0).astype(
        np.float32
    )
    model = CellNet(make_settings()).eval()
    model.start_from(fit_pca(y))
    centered = y.astype(np.float64) - y.mean(axis=0, dtype=np.float64)
    u, s, vt = np.linalg.svd(centered, full_matrices=False)
    expected = (u[:, :16] * s[:16]) @ vt[:16] + y.mean(axis=0, dtype=np.float64)
    with torch.no_grad():
        np.testing.assert_allclose(model(torch.from_numpy(y)).embeddings.numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "autoencoder", "attention", "hierarchical"])
def test_the_seed_decides_the_weights(kind: str) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(torch.seed())  # What was drawn before must not matter.
        embedding = {"teacher_width": 20, "hidden_size": 8, "type": kind}
        return CellNet(make_settings(init={"seed": seed}, embedding=embedding)).state_dict()

    one, same, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", ["xavier", "kaiming", "orthogonal"])
def test_init_method_and_gain(method: str) -> None:
    one, two = (CellNet(make_settings(init={"init_method": method, "gain": gain})) for gain in (1.0, 2.0))
    # The first of the layers that are stacked: the query.
    small, large = (model.lattice.functional.from_own.weight[:6].detach() for model in (one, two))
    torch.testing.assert_close(large, 2.0 * small)
    if method == "orthogonal":
        torch.testing.assert_close(small @ small.T, torch.eye(6), rtol=1e-4, atol=1e-5)


def test_construction_and_forward_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    model = randomized(make_settings())
    embeddings = torch.ones(2, 20)
    results = []
    for seed in (4, 5):
        torch.manual_seed(seed)
        results.append(model(embeddings).embeddings)
    assert torch.equal(results[0], results[1])
    torch.manual_seed(4)
    model(embeddings)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["linear", "autoencoder", "attention", "hierarchical"])
@pytest.mark.parametrize("extraction", ["surface_mean", "volume_projection"])
def test_saved_and_loaded_bit_for_bit(tmp_path: Path, kind: str, extraction: str) -> None:
    embedding = {"teacher_width": 20, "hidden_size": 8, "type": kind, "extraction_strategy": extraction}
    model = randomized(make_settings(embedding=embedding)).eval()
    model.follow(
        with_changes(model.settings, {"gate.temperature": 0.7, "lattice.adaptive_radius_ratio": 0.3})
    )
    model.save_pretrained(tmp_path / "a")
    loaded = CellNet.from_pretrained(tmp_path / "a")
    assert loaded.settings == model.settings
    assert loaded.settings.gate.temperature == 0.7
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    embeddings = torch.randn(3, 20)
    with torch.no_grad():
        assert torch.equal(model(embeddings).embeddings, loaded(embeddings).embeddings)


def test_a_loaded_student_refines_its_codes(tmp_path: Path) -> None:
    model = randomized(make_settings(embedding={"teacher_width": 20, "hidden_size": 8})).eval()
    model.save_pretrained(tmp_path)
    loaded = CellNet.from_pretrained(tmp_path)
    embeddings = torch.randn(3, 20)
    with torch.no_grad():
        refined = loaded.refining(3).codes(embeddings)
        assert torch.equal(refined, model.refining(3).codes(embeddings))
        assert not torch.equal(refined, loaded.codes(embeddings))


@pytest.mark.parametrize("version", [2, 4, "3", None])
def test_models_of_other_versions_are_refused(tmp_path: Path, version: object) -> None:
    CellNet(make_settings()).save_pretrained(tmp_path)
    description = json.loads((tmp_path / DESCRIPTION_FILE).read_text())
    (tmp_path / DESCRIPTION_FILE).write_text(json.dumps({**description, "version": version}))
    with pytest.raises(CheckpointError, match=f"is of version {version!r}"):
        CellNet.from_pretrained(tmp_path)


def test_damaged_and_missing_files_are_checkpoint_errors(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    with pytest.raises(CheckpointError, match="give a folder that save_pretrained wrote"):
        CellNet.from_pretrained(folder)
    model = CellNet(make_settings())
    model.save_pretrained(folder)
    weights, text = (folder / MODEL_FILE).read_bytes(), (folder / SETTINGS_FILE).read_bytes()
    for damaged in (b"", weights[:5], weights[: len(weights) // 2], b"\xff" * 64, weights + b"x"):
        (folder / MODEL_FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit"):
            CellNet.from_pretrained(folder)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    name = "lattice.gate.score.0.weight"
    for changed in (
        {key: value for key, value in tensors.items() if key != name},
        {**tensors, "extra": torch.zeros(1)},
        {**tensors, name: torch.zeros(2, 2)},
    ):
        save_file(changed, folder / MODEL_FILE)
        with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit"):
            CellNet.from_pretrained(folder)
    save_file(load_file(folder / MODEL_FILE), folder / MODEL_FILE)
    (folder / MODEL_FILE).write_bytes(weights)
    for broken in (b"[lattice", b"\xff\xfe", b"[lattice]\ndimensions = [1, 1, 1]", b"[nothing]\nx = 1"):
        (folder / SETTINGS_FILE).write_bytes(broken)
        with pytest.raises(CheckpointError, match=r"settings\.toml holds no settings"):
            CellNet.from_pretrained(folder)
    (folder / SETTINGS_FILE).write_bytes(text.replace(b"state_size = 6", b"state_size = 8"))
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit"):
        CellNet.from_pretrained(folder)
    (folder / SETTINGS_FILE).unlink()
    with pytest.raises(CheckpointError, match=r"holds no settings\.toml"):
        CellNet.from_pretrained(folder)


def test_live_changes_touch_no_parameter() -> None:
    model = randomized(make_settings()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    embeddings = torch.randn(3, 20)
    with torch.no_grad():
        first = model(embeddings).embeddings
        model.follow(with_changes(model.settings, {"gate.temperature": 0.2}))
        second = model(embeddings).embeddings
        model.follow(
            with_changes(model.settings, {"gate.temperature": 1.0, "lattice.adaptive_radius_ratio": 0.3})
        )
        third = model(embeddings).embeddings
    assert not torch.equal(first, second)
    assert not torch.equal(first, third)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_parameter_counts_cover_every_parameter() -> None:
    model = CellNet(make_settings())
    counts = model.parameter_counts()
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters())
    assert counts["mapper"] == 56 * 6 + 56 * 6 + 8 * 6
    assert counts["codec"] == 2 * 20 * 16 + 16 + 20 + 16 * 5 * 20


def test_mixed_precision_follows_full_precision() -> None:
    settings = make_settings()
    model = CellNet(settings)
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.05)
    embeddings = torch.randn(4, settings.embedding.teacher_width)
    gradients = []
    for mixed in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            answer = model(embeddings).embeddings
        answer.float().square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    full, half = gradients
    assert len(full) == len(half)
    assert 0.0 < (full - half).norm() / full.norm() < 0.05


def refined(steps: int, kind: str = "linear") -> CellNet:
    embedding = {"teacher_width": 20, "hidden_size": 8, "type": kind, "refinement_steps": steps}
    return randomized(make_settings(embedding=embedding)).eval()


def error(model: CellNet, y: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return (model(y).embeddings - y).square().sum(dim=1)


@pytest.mark.parametrize("kind", ["linear", "autoencoder", "attention", "hierarchical"])
def test_a_refined_code_brings_the_answer_nearer(kind: str) -> None:
    y = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))
    plain, model = refined(0, kind), refined(6, kind)
    before, after = error(plain, y), error(model, y)
    assert (after <= before * (1 + 1e-5)).all()
    assert after.mean() < 0.9 * before.mean()
    with torch.no_grad():
        assert torch.equal(model.codes(y), model(y).surface_in.flatten(1))
        assert not torch.equal(model.codes(y), plain.codes(y))
    assert torch.equal(error(model.refining(0), y), before)
    assert torch.equal(error(plain.refining(6), y), after)
    assert model.settings.embedding.refinement_steps == 6


def test_codes_are_refined_in_either_mode_unless_told_otherwise() -> None:
    y = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))
    model = refined(6)
    assert torch.equal(model(y, refine=False).surface_in, refined(0)(y).surface_in)
    evaluated = model.eval()(y).surface_in
    assert torch.equal(model.train()(y).surface_in, evaluated)
    assert not torch.equal(evaluated, refined(0)(y).surface_in)


def test_a_code_is_refined_for_the_steps_that_the_cube_makes() -> None:
    y = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))
    model, plain = refined(6), refined(0)
    with torch.no_grad():
        resting = (model(y, steps=0).embeddings - y).square().sum(dim=1)
        before = (plain(y, steps=0).embeddings - y).square().sum(dim=1)
        assert (resting < before).all()
        assert not torch.equal(model.put_on_surface(y, steps=0), model.put_on_surface(y))


def test_refining_leaves_no_gradient_and_works_in_inference_mode() -> None:
    y = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    expected = refined(4)(y).embeddings
    model = refined(4)
    with torch.inference_mode():
        found = model(torch.randn(3, 20, generator=torch.Generator().manual_seed(1))).embeddings
    torch.testing.assert_close(found, expected)
    assert all(parameter.grad is None for parameter in model.parameters())
    # The connections were made in that mode; a later gradient must not mind.
    model(y).embeddings.sum().backward()
    assert all(parameter.grad is not None for parameter in model.codec.to_surface.parameters())


def test_refining_is_as_exact_where_the_rest_is_not() -> None:
    y = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))
    model = refined(4)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            assert refined(0).put_on_surface(y).dtype == torch.bfloat16
            found = model.put_on_surface(y)
            assert model(y).embeddings.isfinite().all()
        after = (model.carry(found).embeddings - y).square().sum(dim=1)
    assert found.dtype == torch.float32
    assert after.mean() < 0.9 * error(refined(0), y).mean()


def test_damage_is_done_to_the_code_of_the_whole_cube() -> None:
    y = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    model = refined(4)
    with torch.no_grad():
        damaged = model(y, intervention=Intervention(silenced=frozenset({"local"})))
        assert torch.equal(damaged.surface_in, model(y).surface_in)


def test_codes_of_a_large_surface_are_not_refined() -> None:
    lattice = {"dimensions": (33, 3, 33), **THREE_TIERS, "adaptive_radius_ratio": 0.05}
    embedding = {"teacher_width": 20, "refinement_steps": 1}
    with pytest.raises(SettingsError, match="at most 1,024 numbers, but that of this cube has 1,089"):
        CellNet(make_settings(lattice=lattice, embedding=embedding))
    with pytest.raises(SettingsError, match="set it to 0"):
        CellNet(make_settings(lattice=lattice)).refining(2)
