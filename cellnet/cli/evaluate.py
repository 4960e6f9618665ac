"""Measure a student on sentences, next to its teacher and to PCA of the same width."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cellnet.cli.options import add_model_source, add_setting_flags, changes_from
from cellnet.cli.output import Result, table
from cellnet.cli.progress import EmbeddingProgress, say
from cellnet.data import load_texts
from cellnet.device import describe_device, open_device
from cellnet.embedding import fit_pca
from cellnet.errors import DataError
from cellnet.evaluation import evaluate
from cellnet.lattice.geometry import TIERS
from cellnet.loading import LoadedModel, load_model
from cellnet.measures import Embeddings
from cellnet.settings import DataSettings, Settings, with_changes
from cellnet.teacher import Teacher, default_cache_dir, embed
from cellnet.training import TrainingData, prepare_data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser)
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="sentences to evaluate on, all of them; by default the validation part of the training's data",
    )
    parser.add_argument("--column", default="", help="column of --data with the text")
    parser.add_argument("--limit", type=int, default=0, help="use at most this many sentences of --data")
    parser.add_argument(
        "--training-data",
        metavar="FILE",
        help="the sentences that the student was trained on, if they have moved; PCA is fitted on them",
    )
    add_setting_flags(parser, "device.device", "data.cache_dir", "embedding.teacher")


def run(arguments: argparse.Namespace) -> Result:
    """Evaluate."""
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    changes = changes_from(arguments)
    if arguments.training_data:
        changes["data.source"] = arguments.training_data
    settings = with_changes(loaded.settings, changes)
    device = open_device(settings)
    training = _training_data(settings, loaded)
    embeddings, facts = _sentences(arguments, settings, training)
    say(f"evaluating {loaded.name} on {len(embeddings)} sentences")
    result = evaluate(loaded.model.to(device), fit_pca(training.train), embeddings, device=device)
    values = {
        "model": loaded.name,
        "run": loaded.run,
        "step": loaded.step,
        **facts,
        **result.as_dict(),
        "device": describe_device(device),
    }
    return Result(values, _text(values))


def _training_data(settings: Settings, loaded: LoadedModel) -> TrainingData:
    try:
        return prepare_data(settings, progress=EmbeddingProgress())
    except DataError as error:
        raise DataError(
            f"PCA is fitted on the sentences that {loaded.name} was trained on, and they cannot be read: "
            f"{error}. Give them with --training-data FILE"
        ) from None


def _sentences(
    arguments: argparse.Namespace, settings: Settings, training: TrainingData
) -> tuple[Embeddings, dict[str, Any]]:
    """Return the embeddings to evaluate on, and where they come from."""
    if arguments.data is None:
        facts = {"data": f"validation part of {settings.data.source}", "in_training": 0}
        return training.validation, {**facts, "sentences": len(training.validation)}
    source = DataSettings(
        source=arguments.data,
        column=arguments.column,
        limit=arguments.limit,
        cache_dir=settings.data.cache_dir,
    )
    with_changes(settings, {"data.source": arguments.data})  # refuses a kind of file that cannot be read
    texts, report = load_texts(source)
    say(report.summary)
    seen = set(training.train_texts)
    progress = EmbeddingProgress()
    embeddings = embed(
        texts,
        Teacher.load(settings.embedding, torch.device(settings.device.device)),
        default_cache_dir(source),
        progress=lambda done, total: progress(f"embedding {Path(arguments.data).name}", done, total),
    )
    return np.asarray(embeddings), {
        "data": arguments.data,
        "in_training": sum(text in seen for text in texts),
        "sentences": len(texts),
    }


def _text(values: dict[str, Any]) -> str:
    names = tuple(values["student"])
    scores = table([(who, *values[who].values()) for who in ("student", "teacher", "pca")], ("", *names))
    steps = values["lattice_gain"]
    gain = table(
        [
            (step, explained, over)
            for step, (explained, over) in enumerate(
                zip(steps["explained_variance"], steps["over_pca"], strict=True)
            )
        ],
        ("step", "explained variance", "over PCA"),
    )
    experts = table(
        [(tier, values["gate_mass"][tier], f"{values['expert_ablation'][tier]:+.2%}") for tier in TIERS],
        ("expert", "gate mass", "loss when silenced"),
    )
    seen = f", of which {values['in_training']} were trained on" if values["in_training"] else ""
    return (
        f"{values['model']} on {values['sentences']} sentences ({values['data']}){seen}\n\n{scores}\n"
        f"mean cosine of a constant answer: {values['mean_vector_cosine']:.4f}\n\n{gain}\n\n{experts}\n"
        f"gate entropy (1 is even): {values['gate_entropy']:.3f}"
    )
