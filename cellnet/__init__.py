"""cellnet: a 3D cellular neural network that learns to carry sentence embeddings."""

__version__ = "0.1.0"
