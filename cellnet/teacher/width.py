"""The width of a teacher's embeddings, where settings leave it to the teacher."""

from __future__ import annotations

import torch

from cellnet.settings import EmbeddingSettings, Settings, with_changes
from cellnet.teacher.encoder import OWN, Teacher
from cellnet.teacher.folders import BUNDLED, find_teacher, transformer_width


def find_width(settings: EmbeddingSettings) -> int:
    """Return the width D of the embeddings that the teacher of these settings gives.

    It is read from a table or the configuration; only a teacher with modules of its own is loaded.

    Raises:
        TeacherError: if the teacher is missing (see `find_teacher`) or no encoder of texts.
    """
    if settings.teacher in BUNDLED:
        find_teacher(settings.teacher)
        return BUNDLED[settings.teacher].width
    if settings.pooling == OWN:
        return Teacher.load(settings.replace(teacher_width=0), torch.device("cpu")).width
    return transformer_width(find_teacher(settings.teacher).transformer)


def resolve_teacher(settings: Settings) -> Settings:
    """Return the settings with the teacher's width in the place of an ``embedding.teacher_width`` of 0.

    Raises:
        TeacherError: see `find_width`.
    """
    if settings.embedding.teacher_width:
        return settings
    return with_changes(settings, {"embedding.teacher_width": find_width(settings.embedding)})
