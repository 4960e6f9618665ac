"""The MLP student: as many parameters, and the same start."""

import pytest
import torch

from cellnet.errors import DataError
from cellnet.settings import Settings, preset, with_changes
from cellnet.student.codec import fit_pca
from cellnet.student.perceptron import Perceptron, parameter_count
from cellnet.student.student import CellNet
from cellnet.training.benchmark import random_data


@pytest.mark.parametrize("codec", ["linear", "autoencoder"])
def test_it_has_the_parameters_of_the_student(codec: str) -> None:
    student = CellNet(with_changes(preset("quickstart"), {"embedding.type": codec}))
    mlp = Perceptron.like(student)
    assert parameter_count(mlp) == pytest.approx(parameter_count(student), rel=2e-3)
    assert mlp(torch.randn(3, 384)).surface_in.shape == (3, 8, 8)


def test_its_two_hidden_layers_are_equally_wide_whatever_those_of_the_student_are() -> None:
    changes = {"embedding.type": "autoencoder", "embedding.decoder_hidden_size": 40}
    student = CellNet(with_changes(preset("quickstart"), changes))
    mlp = Perceptron.like(student)
    assert mlp.codec.encoder[0].out_features == mlp.codec.decoder[0].out_features == mlp.hidden
    assert parameter_count(mlp) == pytest.approx(parameter_count(student), rel=2e-3)


def test_it_starts_as_pca(settings: Settings) -> None:
    data = random_data(settings, 120)
    pca = fit_pca(data.train)
    mlp = Perceptron.like(CellNet(settings))
    mlp.start_from(pca)
    x = torch.from_numpy(data.validation)
    with torch.no_grad():
        assert torch.allclose(mlp(x).embeddings, pca.reconstruct(x, 25), atol=1e-4)


def test_a_student_with_too_few_parameters_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellnet.student.perceptron.parameter_count", lambda model: 1000)
    with pytest.raises(DataError, match="1000 parameters, too few for an MLP"):
        Perceptron.like(CellNet(settings))


def test_its_codes_are_refined_as_those_of_the_student(settings: Settings) -> None:
    data = random_data(settings, 120)
    y = torch.from_numpy(data.validation)
    plain = Perceptron.like(CellNet(settings)).eval()
    refined = Perceptron.like(CellNet(with_changes(settings, {"embedding.refinement_steps": 4}))).eval()
    with torch.no_grad():
        before, after = ((mlp(y).embeddings - y).square().sum(dim=1) for mlp in (plain, refined))
        assert (after <= before * (1 + 1e-5)).all()
        assert after.mean() < before.mean()
        assert torch.equal(refined(y, refine=False).surface_in, plain(y).surface_in)
