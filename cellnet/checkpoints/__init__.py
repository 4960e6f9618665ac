"""Checkpoints: everything a training needs to go on, as safetensors and JSON, in a folder or one file."""

from cellnet.checkpoints.archive import MAX_ARCHIVE_BYTES, pack, unpack
from cellnet.checkpoints.contents import check_training
from cellnet.checkpoints.files import JSON, Checkpoint, load_checkpoint, save_checkpoint
from cellnet.checkpoints.optimizers import flatten_optimizer, unflatten_optimizer

__all__ = [
    "JSON",
    "MAX_ARCHIVE_BYTES",
    "Checkpoint",
    "check_training",
    "flatten_optimizer",
    "load_checkpoint",
    "pack",
    "save_checkpoint",
    "unflatten_optimizer",
    "unpack",
]
