"""Codecs: each starts as PCA of its width, works both ways, and learns."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from cellnet.settings import EmbeddingSettings, InitSettings
from cellnet.student.codec import AutoencoderTransformer, EmbeddingTransformer, fit_pca, make_codec
from cellnet.student.layers import initialize

TYPES = ("linear", "autoencoder", "attention", "hierarchical")
STATE = 4


def embeddings(count: int = 200, width: int = 24) -> npt.NDArray[np.float32]:
    """Return a curved sheet of few dimensions in ``width`` dimensions, off center."""
    generator = np.random.default_rng(2)
    hidden = np.tanh(generator.standard_normal((count, 6)) @ generator.standard_normal((6, 40)))
    return (hidden @ generator.standard_normal((40, width)) + 3.0).astype(np.float32)


def make(kind: str, *, width: int = 24, edge: int = 3, pca: bool = True) -> EmbeddingTransformer:
    settings = EmbeddingSettings(type=kind, teacher_width=width, hidden_size=16, pca_initialization=pca)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        codec = make_codec(settings, edge, STATE)
        initialize(codec, InitSettings())
    fitted = fit_pca(embeddings(width=width))
    codec.fit_scaling(fitted)
    if pca:
        codec.start_from_pca(fitted)
    return codec


def read_out(codec: EmbeddingTransformer, y: Tensor) -> Tensor:
    """Pass through codec alone: the code in channel 0, functions of it in the other channels."""
    code = codec.encode(y)
    return codec.decode(torch.stack([code, code.tanh(), code.square(), code.sin()], dim=-1))


def numpy_pca(y: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float64]:
    """Reconstruct with the first ``width`` components, by a singular value decomposition."""
    centered = y.astype(np.float64) - y.mean(axis=0, dtype=np.float64)
    u, s, vt = np.linalg.svd(centered, full_matrices=False)
    answer: npt.NDArray[np.float64] = (u[:, :width] * s[:width]) @ vt[:width]
    return answer + y.mean(axis=0, dtype=np.float64)


def test_pca_equals_a_singular_value_decomposition() -> None:
    y = embeddings()
    pca = fit_pca(y)
    for width in (1, 5, 24):
        np.testing.assert_allclose(
            pca.reconstruct(torch.from_numpy(y).double(), width).numpy(), numpy_pca(y, width), atol=1e-8
        )
    np.testing.assert_allclose(pca.total_variance, y.astype(np.float64).var(axis=0).sum(), rtol=1e-6)
    np.testing.assert_allclose(float(pca.variance.sum()), pca.total_variance)
    assert (pca.variance.diff() <= 0).all()
    torch.testing.assert_close(pca.components @ pca.components.T, torch.eye(24, dtype=torch.float64))


@pytest.mark.parametrize("kind", TYPES)
def test_every_codec_starts_as_pca_of_its_width(kind: str) -> None:
    y = embeddings()
    codec = make(kind)
    code = codec.encode(torch.from_numpy(y))
    assert code.shape == (200, 3, 3)
    assert codec.decode(code.unsqueeze(-1).expand(-1, -1, -1, STATE)).shape == (200, 24)
    np.testing.assert_allclose(
        read_out(codec, torch.from_numpy(y)).detach().numpy(), numpy_pca(y, 9), atol=2e-4
    )
    torch.testing.assert_close(code.flatten(1).std(dim=0, unbiased=False), torch.ones(9), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", TYPES)
def test_a_surface_wider_than_the_embedding_loses_nothing(kind: str) -> None:
    y = torch.from_numpy(embeddings(width=10))
    codec = make(kind, width=10, edge=4)
    torch.testing.assert_close(read_out(codec, y), y, rtol=1e-3, atol=1e-3)
    assert not codec.encode(y).flatten(1)[:, 10:].any()


def test_directions_without_variance_are_left_out() -> None:
    y = embeddings()
    y[:, 12:] = y[:, :12]
    fitted = fit_pca(y)
    codec = make_codec(EmbeddingSettings(teacher_width=24), 4, STATE)
    initialize(codec, InitSettings())
    codec.fit_scaling(fitted)
    codec.start_from_pca(fitted)
    assert codec.to_surface.weight.isfinite().all()
    assert not codec.to_surface.weight[12:].any()
    torch.testing.assert_close(
        read_out(codec, torch.from_numpy(y)), torch.from_numpy(y), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("pca", [True, False])
@pytest.mark.parametrize("kind", TYPES)
def test_every_codec_learns_in_both_directions(kind: str, pca: bool) -> None:
    y = torch.from_numpy(embeddings())
    codec = make(kind, pca=pca)
    optimizer = torch.optim.Adam(codec.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss = (read_out(codec, y) - y).square().mean() / y.var(dim=0).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < (0.85 if pca else 0.4) * losses[0]
    for name, parameter in codec.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("kind", TYPES[1:])
def test_the_nonlinear_part_of_each_direction_learns_alone(kind: str) -> None:
    y = torch.from_numpy(embeddings())
    for direction in ("encode", "decode"):
        codec = make(kind)
        part = getattr(codec, f"{direction}_nonlinear")
        given = torch.randn(200, 24) if direction == "encode" else torch.randn(200, 3, 3, STATE)
        assert not part(given).any()
        frozen = {"to_surface", "from_surface", "from_channels"}
        parameters = [p for name, p in codec.named_parameters() if name.split(".")[0] not in frozen]
        optimizer = torch.optim.Adam(parameters, lr=5e-3)
        for _ in range(15):
            loss = (read_out(codec, y) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert part(given).abs().mean() > 1e-3


def test_without_pca_the_scaling_still_comes_from_the_data() -> None:
    y = embeddings()
    codec = make("linear", pca=False)
    np.testing.assert_allclose(codec.mean.numpy(), y.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        float(codec.scale), np.sqrt(y.astype(np.float64).var(axis=0).mean()), rtol=1e-5
    )


@pytest.mark.parametrize("gain", [0.1, 3.0])
def test_the_hidden_layers_of_an_autoencoder_start_at_the_size_of_their_inputs(gain: float) -> None:
    codec = make_codec(
        EmbeddingSettings(teacher_width=300, type="autoencoder", hidden_size=2000), 16, STATE
    )
    initialize(codec, InitSettings(gain=gain))
    assert isinstance(codec, AutoencoderTransformer)
    before = codec.encoder[0](torch.randn(50, 300))
    assert float(before.detach().std()) == pytest.approx(1.0, abs=0.05)
    surface = torch.randn(50, 16, 16, STATE)
    hidden = codec.decoder[0](surface.flatten(1))
    assert float(hidden.detach().std()) == pytest.approx(1.0, abs=0.05)
    surface[..., 1:] = 9.0
    assert torch.equal(codec.decoder[0](surface.flatten(1)), hidden)


def test_the_way_back_of_an_autoencoder_may_be_narrower() -> None:
    def widths(**settings: int) -> tuple[int, int]:
        codec = make_codec(EmbeddingSettings(teacher_width=24, type="autoencoder", **settings), 3, STATE)
        assert isinstance(codec, AutoencoderTransformer)
        return codec.encoder[0].out_features, codec.decoder[0].out_features

    assert widths(hidden_size=16) == (16, 16)
    assert widths(hidden_size=16, decoder_hidden_size=5) == (16, 5)
