"""The teacher: a frozen sentence encoder, and the cache of its embeddings."""

from cellnet.teacher.cache import EmbeddingCancelled, default_cache_dir, embed, progress_bar
from cellnet.teacher.encoder import Teacher, teacher_fingerprint
from cellnet.teacher.folders import find_width

__all__ = [
    "EmbeddingCancelled",
    "Teacher",
    "default_cache_dir",
    "embed",
    "find_width",
    "progress_bar",
    "teacher_fingerprint",
]
