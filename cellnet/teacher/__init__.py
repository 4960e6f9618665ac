"""The teacher: a frozen sentence encoder, and the cache of its embeddings."""

from cellnet.teacher.cache import EmbeddingCancelled, default_cache_dir, embed, progress_bar
from cellnet.teacher.encoder import Teacher, teacher_fingerprint
from cellnet.teacher.width import find_width, resolve_teacher

__all__ = [
    "EmbeddingCancelled",
    "Teacher",
    "default_cache_dir",
    "embed",
    "find_width",
    "progress_bar",
    "resolve_teacher",
    "teacher_fingerprint",
]
