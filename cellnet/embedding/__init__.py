"""Teacher space and the surface: PCA and the codecs."""

from cellnet.embedding.codecs import (
    AttentionTransformer,
    AutoencoderTransformer,
    HierarchicalTransformer,
    make_codec,
)
from cellnet.embedding.pca import PCA, fit_pca
from cellnet.embedding.refinement import refine
from cellnet.embedding.transformer import EmbeddingTransformer

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
