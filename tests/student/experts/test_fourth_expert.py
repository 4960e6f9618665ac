"""A fourth expert, one row of the table: it trains, is proven, saved, measured and drawn as others are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from echo_expert import EchoExpert, echo_expert

from cellnet.errors import CheckpointError, RunError
from cellnet.evaluation import as_dict, evaluate
from cellnet.inspection import inspect, inspection_bytes
from cellnet.inspection.repair import usual_damages
from cellnet.inspection.similarity import measure_experts
from cellnet.proof import prove
from cellnet.settings import Settings, preset, with_changes
from cellnet.student.cost import parameter_count, step_cost
from cellnet.student.damage import Intervention
from cellnet.student.experts import EXPERTS, register_expert
from cellnet.student.student import CellNet
from cellnet.training import EmbeddingTrainer
from cellnet.training.benchmark import random_data
from lab.figures import inline
from lab.figures.colors import EXPERT_COLORS
from lab.figures.routing import gate_entropy, mixture_bars, overview_scene, region_usage, weight_scene
from lab.files.stills import cube_image
from lab.training import CubeFrame, FrameStore

NAMES = ["local", "functional", "distant", "echo"]


@dataclass(frozen=True)
class Trained:
    """A student with four experts after some steps, and a checkpoint of it."""

    trainer: EmbeddingTrainer
    checkpoint: Path

    @property
    def model(self) -> CellNet:
        return self.trainer.model.eval()


def small() -> Settings:
    changes = {
        "lattice.dimensions": (5, 5, 5),
        "lattice.adaptive_radius_ratio": 0.35,
        "model.state_size": 8,
        "model.steps": 3,
        "embedding.teacher_width": 32,
        "training.batch_size": 8,
        "training.learning_rate": 4e-3,
    }
    return with_changes(preset("quickstart"), changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    with echo_expert():
        settings = small()
        trainer = EmbeddingTrainer(settings, random_data(settings, 64))
        for _ in range(10):
            trainer.step()
        folder = trainer.save_checkpoint(tmp_path_factory.mktemp("echo") / "checkpoint")
        yield Trained(trainer, folder)


def test_it_trains(trained: Trained) -> None:
    with torch.no_grad():
        fresh = CellNet(small())
    for name, value in trained.model.lattice.echo.named_parameters():
        assert not torch.equal(value, fresh.lattice.echo.get_parameter(name))
    assert trained.model.lattice.gate.score[2].out_features == 4


def test_it_is_proven(trained: Trained) -> None:
    embeddings = torch.from_numpy(trained.trainer.data.train[:8])
    proofs = prove(trained.model, embeddings)
    assert all(proof.passed for proof in proofs), proofs
    assert "echo 3" in proofs[0].detail
    assert "echo " in proofs[2].detail


def test_an_expert_that_reads_another_tier_than_its_own_is_found(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trained.model.lattice.tier_of, "echo", "local")
    embeddings = torch.from_numpy(trained.trainer.data.train[:8])
    proofs = {proof.name: proof.passed for proof in prove(trained.model, embeddings)}
    assert proofs["reference"] is False


def test_weights_that_read_only_its_empty_tier_are_listed(trained: Trained) -> None:
    changes = {"lattice.functional_distance_ratio": 1.0}
    settings = with_changes(small(), changes)
    embeddings = torch.from_numpy(random_data(settings, 32).train[:8])
    proof = prove(CellNet(settings), embeddings)[4]
    assert proof.passed
    assert "the empty tier (distant)" in proof.detail
    assert "echo.from_own.weight" in proof.detail


def test_it_is_saved_and_loaded(trained: Trained, tmp_path: Path) -> None:
    again = EmbeddingTrainer.from_checkpoint(trained.checkpoint, trained.trainer.data)
    for name, value in trained.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    assert "lattice.echo.to_change.weight" in again.model.state_dict()
    trained.model.save_pretrained(tmp_path / "model")
    loaded = CellNet.from_pretrained(tmp_path / "model")
    assert loaded.parameter_counts()["lattice.echo"] == sum(
        value.numel() for value in trained.model.lattice.echo.parameters()
    )
    echo = EXPERTS.pop("echo")
    try:
        with pytest.raises(CheckpointError, match="echo"):
            CellNet.from_pretrained(tmp_path / "model")
    finally:
        EXPERTS["echo"] = echo


def test_traces_and_inspections_hold_it(trained: Trained) -> None:
    rows = trained.trainer.data.validation[:3]
    with torch.no_grad():
        trace = trained.model(torch.from_numpy(rows), keep_trace=True, stop_early=False).lattice.trace
    assert trace[0].gate.shape == (3, 125, 4)
    assert trace[0].changes.shape == (3, 125, 4, 8)
    inspection = inspect(trained.model, rows)
    assert inspection.gate.shape == inspection.output_norms.shape == (3, 3, 125, 4)
    held = inspection.states.nbytes + inspection.gate.nbytes + inspection.output_norms.nbytes
    assert held == inspection_bytes(trained.model, 3)


def test_silencing_it_drops_what_it_proposes(trained: Trained) -> None:
    rows = torch.from_numpy(trained.trainer.data.validation[:2])
    silence = Intervention(silenced={"echo"})
    with torch.no_grad():
        whole = trained.model(rows, steps=1, keep_trace=True).lattice
        silent = trained.model(rows, steps=1, intervention=silence).lattice
    [trace] = whole.trace
    torch.testing.assert_close(
        whole.final - silent.final, trace.gate[..., 3:] * trace.changes[:, :, 3], rtol=1e-4, atol=1e-6
    )
    assert "silence echo" in usual_damages((5, 5, 5))
    with pytest.raises(ValueError, match="the tiers are local, functional, distant"):
        Intervention(cut={"echo"})  # type: ignore[arg-type]


def test_it_is_measured_and_evaluated(trained: Trained) -> None:
    data = trained.trainer.data
    measures = measure_experts(trained.model, data.validation)
    assert measures.similarity.shape == (3, 4, 4)
    assert measures.gate_mean.shape == measures.output_norms.shape == (3, 4)
    np.testing.assert_allclose(measures.gate_mean.sum(axis=1), 1.0, rtol=1e-5)
    result = evaluate(
        trained.model, trained.trainer.pca, data.validation, device=torch.device("cpu"), resamples=40
    )
    values = as_dict(result)
    assert list(result.gate_mass) == list(result.expert_ablation) == values["experts"]["order"] == NAMES
    assert 0.0 < result.gate_entropy <= 1.0


def test_its_cost_is_counted(trained: Trained) -> None:
    settings = small()
    four, count = step_cost(settings), parameter_count(settings)
    assert count == sum(trained.model.parameter_counts().values())
    echo = EXPERTS.pop("echo")
    try:
        three = step_cost(settings)
    finally:
        EXPERTS["echo"] = echo
    assert four.attention_width > three.attention_width
    for name in ("parameters", "attention_flops", "dense_flops", "activation_bytes", "index_bytes"):
        assert getattr(four, name) > getattr(three, name)
    assert four.neighbor_bytes == three.neighbor_bytes  # its tier is summed once for all who read it


def frame(trained: Trained) -> CubeFrame:
    inspection = inspect(trained.model, trained.trainer.data.validation[:1])
    return CubeFrame(1, 10, (5, 5, 5), inspection.states[0], inspection.gate[0], 0.9, "A sentence.", 0.01)


def test_figures_draw_it(trained: Trained) -> None:
    picture, everything = frame(trained), np.ones(125, dtype=bool)
    assert list(EXPERT_COLORS) == NAMES
    assert len(set(EXPERT_COLORS.values())) == 4
    region = np.arange(125) < 20
    bars = mixture_bars(picture, 2, region, chosen=7)["data"]
    assert [bar["name"] for bar in bars] == NAMES
    np.testing.assert_allclose([bar["y"][0] for bar in bars], picture.gate[1].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        [bar["y"][1] for bar in bars], picture.gate[1][region].mean(axis=0), rtol=1e-5
    )
    np.testing.assert_allclose([bar["y"][2] for bar in bars], picture.gate[1][7], rtol=1e-5)
    scene = weight_scene(picture, 1, "echo", everything, 1.0)
    assert scene.legend.label == "weight of echo"
    assert overview_scene(picture, 1, "expert", everything).legend.names == tuple(NAMES)
    np.testing.assert_allclose(gate_entropy(np.full((1, 4), 0.25)), 1.0)
    assert region_usage(picture.gate, np.zeros(125, dtype=bool))[1].tolist() == [[0.25] * 4] * 3
    stacks = inline.stacks(picture.gate.mean(axis=1), EXPERT_COLORS, rows=["1", "2", "3"], row_name="step")
    assert "echo" in stacks
    assert cube_image(picture.states, picture.gate, (5, 5, 5)).startswith(b"\x89PNG")


def test_frames_keep_it_and_refuse_those_of_other_experts(trained: Trained, tmp_path: Path) -> None:
    store, made = FrameStore(tmp_path), frame(trained)
    store.add(made)
    np.testing.assert_allclose(store.load(10).gate, made.gate, atol=1e-3)
    assert len(store.summary(10).gate_mean[0]) == 4
    echo = EXPERTS.pop("echo")
    try:
        with pytest.raises(RunError, match="its experts are not the 3 of the table"):
            FrameStore(tmp_path).load(10)
    finally:
        EXPERTS["echo"] = echo


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("local", "local", "'local' cannot name an expert"),
        ("gate", "local", "'gate' cannot name an expert"),
        ("two words", "local", "cannot name an expert"),
        ("other", "nothing", "'nothing' is no settings group"),
    ],
)
def test_an_impossible_row_is_refused(name: str, settings: str, message: str) -> None:
    before = dict(EXPERTS)
    with pytest.raises(ValueError, match=message):
        register_expert(name, EchoExpert, settings=settings, tier="distant")
    assert before == EXPERTS
