"""Shapes are checked while the tests run: jaxtyping and beartype wrap the core as it is imported."""

import torch
from jaxtyping import install_import_hook

_ANNOTATED = ("embedding", "experts", "lattice", "losses", "model", "surface")

install_import_hook([f"cellnet.{name}" for name in _ANNOTATED], "beartype.beartype")

# The tensors of the tests are small: more threads would only wait for each other.
torch.set_num_threads(1)
