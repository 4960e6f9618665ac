"""Settings of the training loop."""

from __future__ import annotations

from typing import Literal

from cellnet.settings.base import SettingsGroup, setting


class TrainingSettings(SettingsGroup):
    """The training loop."""

    max_steps: int = setting(
        2000,
        label="Training steps",
        help="Optimizer steps of the whole training.",
        unit="steps",
        ge=1,
        le=10**8,
    )
    batch_size: int = setting(
        64,
        label="Batch size",
        help="Sentences in one batch; the emergence loss is undefined below 4.",
        unit="sentences",
        ge=4,
        le=65536,
    )
    accumulation_steps: int = setting(
        1, label="Accumulation", help="Batches whose gradients make one step.", ge=1, le=1024
    )
    learning_rate: float = setting(
        2e-3, label="Learning rate", help="Peak learning rate of AdamW.", live=True, gt=0.0, le=1.0
    )
    min_learning_rate_ratio: float = setting(
        0.02, label="Final rate", help="Learning rate at the end, as a share of the peak.", ge=0.0, le=1.0
    )
    warmup_steps: int = setting(
        100, label="Warm-up", help="Steps in which the learning rate rises.", unit="steps", ge=0, le=10**7
    )
    linear_path_warmup: float = setting(
        0.4,
        label="Linear path warm-up",
        help="Share of the training in which the rate of the codec's linear path rises to the full one. "
        "It starts at the principal components, which a full rate would throw it off at once.",
        ge=0.0,
        le=1.0,
    )
    weight_decay: float = setting(
        0.1,
        label="Weight decay",
        help="Weight decay of AdamW on matrices, the linear path excepted.",
        ge=0.0,
        le=1.0,
    )
    clip_norm: float = setting(
        1.0, label="Gradient clip", help="Largest gradient norm; larger ones are scaled down.", gt=0.0
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        label="Precision",
        help="bfloat16 is mixed precision and needs a CUDA device.",
    )
    engine: Literal["auto", "eager", "cuda-graphs"] = setting(
        "auto",
        label="Engine",
        help="How a training step is computed. eager: operation by operation, on any device. cuda-graphs: "
        "replayed as one CUDA graph, which is faster and needs a CUDA device. auto: cuda-graphs on a CUDA "
        "device, else eager.",
    )
    codec_steps: int = setting(
        0,
        label="Codec steps",
        help="Steps at the start in which the cube rests and the codec learns alone, which is quick; the "
        "learning rate then takes its course anew. For codecs that are not linear.",
        unit="steps",
        ge=0,
        le=10**8,
    )
    interpolation: float = setting(
        0.0,
        label="Interpolation",
        help="Share of each batch whose embeddings are moved toward another's, up to half of the way: more "
        "places for the student to learn from than there are sentences.",
        ge=0.0,
        le=1.0,
    )
    validate_every: int = setting(
        100, label="Validate every", help="Steps between validations.", unit="steps", ge=1, le=10**7
    )
    early_stopping_patience: int = setting(
        0,
        label="Patience",
        help="Validations without improvement after which training stops; 0 turns it off.",
        ge=0,
        le=10**6,
    )
    checkpoint_every: int = setting(
        500, label="Checkpoint every", help="Steps between checkpoints.", unit="steps", ge=1, le=10**8
    )
    keep_checkpoints: int = setting(
        3, label="Checkpoints kept", help="Newest checkpoints of a run that are kept.", ge=1, le=1000
    )
