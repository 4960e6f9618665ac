"""Settings of the sentences."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from cellnet.settings.base import SettingsGroup, setting


class DataSettings(SettingsGroup):
    """The sentences."""

    source: str = setting(
        "docstrings",
        label="Source",
        help="'docstrings' (the Python standard library's own) or a .txt, .csv, .jsonl or .parquet file.",
        min_length=1,
    )
    column: str = setting(
        "", label="Column", help="Column with the text; needed for .csv, .jsonl and .parquet."
    )
    validation_fraction: float = setting(
        0.1, label="Validation share", help="Share of the sentences held out.", gt=0.0, lt=1.0
    )
    split_seed: int = setting(0, label="Split seed", help="Seed of the split.", ge=0, le=2**31 - 1)
    min_characters: int = setting(
        1, label="Shortest", help="Shorter texts are reported and left out.", unit="characters", ge=1
    )
    max_characters: int = setting(
        2000, label="Longest", help="Longer texts are reported and left out.", unit="characters", ge=1
    )
    limit: int = setting(
        0, label="Limit", help="Use at most this many sentences; 0 uses all.", unit="sentences", ge=0
    )
    variants: int = setting(
        0,
        label="Variants",
        help="Texts made of each training sentence by cutting it and joining it with others, which the "
        "teacher embeds too and the student is trained on. They cost the teacher's time once.",
        ge=0,
        le=100,
    )
    cache_dir: str = setting(
        "",
        label="Cache folder",
        help="Folder of the cached embeddings; empty uses the user's cache folder.",
    )

    @model_validator(mode="after")
    def _lengths_are_ordered(self) -> Self:
        if self.min_characters > self.max_characters:
            raise ValueError(
                f"min_characters {self.min_characters} exceeds max_characters {self.max_characters}"
            )
        return self
