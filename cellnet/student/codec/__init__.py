"""Teacher space and the surface: PCA and the codecs."""

from cellnet.student.codec.linear import EmbeddingTransformer
from cellnet.student.codec.nonlinear import (
    AttentionTransformer,
    AutoencoderTransformer,
    HierarchicalTransformer,
    make_codec,
)
from cellnet.student.codec.pca import PCA, fit_pca
from cellnet.student.codec.refinement import refine

__all__ = [
    "PCA",
    "AttentionTransformer",
    "AutoencoderTransformer",
    "EmbeddingTransformer",
    "HierarchicalTransformer",
    "fit_pca",
    "make_codec",
    "refine",
]
