"""Measure a student on sentences, next to its teacher, PCA of the same width and an MLP of equal size."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from cellnet.cli.evaluation_text import evaluation_text
from cellnet.cli.options import add_model_source, add_setting_flags, changes_from
from cellnet.cli.output import Result
from cellnet.cli.progress import EmbeddingProgress, StageProgress, say
from cellnet.device import describe_device, open_device
from cellnet.errors import DataError
from cellnet.evaluation import (
    Perceptron,
    SentenceReader,
    as_dict,
    evaluate,
    parameter_count,
)
from cellnet.measures import Embeddings
from cellnet.runs.loading import LoadedModel, load_model
from cellnet.settings import Settings, with_changes
from cellnet.student.codec import PCA, fit_pca
from cellnet.teacher import Teacher
from cellnet.training import TrainingData, prepare_data
from cellnet.training.baseline import train_perceptron


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser)
    parser.add_argument(
        "--data",
        metavar="FILE",
        help="sentences to evaluate on, all of them; by default the validation part of the training's data",
    )
    parser.add_argument("--column", default="", help="column of --data and --bank with the text")
    parser.add_argument("--limit", type=int, default=0, help="use at most this many sentences of --data")
    parser.add_argument(
        "--training-data",
        metavar="FILE",
        help="the sentences that the student was trained on, if they have moved; PCA is fitted on them, "
        "the MLP student is trained on them, and novelty is measured against them",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE.csv",
        help="pairs with human scores (columns sentence1, sentence2, score), for Spearman's correlation",
    )
    parser.add_argument(
        "--bank",
        metavar="FILE",
        help="more sentences among which each evaluated one must be found (recall)",
    )
    parser.add_argument(
        "--mlp-steps",
        type=int,
        metavar="N",
        help="steps that the MLP student is trained for; by default as many as the student",
    )
    parser.add_argument("--no-mlp", action="store_true", help="leave the MLP student out")
    parser.add_argument(
        "--lattice-sentences",
        type=int,
        default=1000,
        metavar="N",
        help="sentences, drawn at random, for the ablation and likeness of the experts and the effective "
        "dimension; 0 takes all (%(default)s)",
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="resamples behind each interval (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all that is drawn (%(default)s)")
    add_setting_flags(
        parser, "device.device", "data.cache_dir", "embedding.teacher", "embedding.refinement_steps"
    )


def run(arguments: argparse.Namespace) -> Result:
    """Evaluate."""
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    changes = changes_from(arguments)
    if arguments.training_data:
        changes["data.source"] = arguments.training_data
    settings = with_changes(loaded.settings, changes)
    device = open_device(settings)
    teacher = Teacher.load(settings.embedding, device)
    reader = SentenceReader(
        settings, teacher, column=arguments.column, progress=EmbeddingProgress(), say=say
    )
    pairs, pair_texts = (None, None) if arguments.pairs is None else reader.pairs(arguments.pairs)
    training = _training_data(settings, loaded, with_variants=not arguments.no_mlp)
    texts, embeddings, facts = _sentences(arguments, settings, training, reader)
    bank = None if arguments.bank is None else reader.bank(arguments.bank, texts)
    model = loaded.model.to(device).refining(settings.embedding.refinement_steps)
    loaded = replace(loaded, model=model)
    pca = fit_pca(training.train)
    perceptron, mlp_facts = _perceptron(arguments, loaded, training, pca, device)
    say(f"evaluating {loaded.name} on {len(embeddings)} sentences")
    result = evaluate(
        model,
        pca,
        embeddings,
        device=device,
        perceptron=perceptron,
        training=training.train,
        bank=None if bank is None else bank.embeddings,
        pairs=pairs,
        lattice_sentences=arguments.lattice_sentences,
        resamples=arguments.resamples,
        seed=arguments.seed,
        progress=StageProgress(),
    )
    values = {
        "model": loaded.name,
        "run": loaded.run,
        "step": loaded.step,
        "refinement_steps": model.settings.embedding.refinement_steps,
        **facts,
        **as_dict(result),
        "bank": None
        if bank is None
        else {
            "file": arguments.bank,
            "added": len(bank.embeddings),
            "evaluated_too": bank.evaluated_too,
        },
        "pairs_file": None if arguments.pairs is None else str(arguments.pairs),
        "bad_pairs": None
        if pair_texts is None
        else [{"line": row.line, "reason": row.reason} for row in pair_texts.bad_rows],
        "mlp_training": mlp_facts,
        "parameters": {
            "student": parameter_count(model),
            "mlp": None if perceptron is None else parameter_count(perceptron),
        },
        "seed": arguments.seed,
        "device": describe_device(device),
    }
    return Result(values, evaluation_text(values))


def _training_data(settings: Settings, loaded: LoadedModel, *, with_variants: bool) -> TrainingData:
    try:
        return prepare_data(settings, with_variants=with_variants, progress=EmbeddingProgress())
    except DataError as error:
        raise DataError(
            f"PCA and the MLP student need the sentences that {loaded.name} was trained on, and they "
            f"cannot be read: {error}. Give them with --training-data FILE"
        ) from None


def _sentences(
    arguments: argparse.Namespace, settings: Settings, training: TrainingData, reader: SentenceReader
) -> tuple[Sequence[str], Embeddings, dict[str, Any]]:
    """Return the sentences to evaluate on, their embeddings, and where they come from."""
    if arguments.data is None:
        facts = {"data": f"validation part of {settings.data.source}", "in_training": 0}
        return training.validation_texts, training.validation, facts
    texts = reader.texts(arguments.data, arguments.limit)
    seen = set(training.train_texts)
    embeddings = reader.embed(texts, Path(arguments.data).name)
    return texts, embeddings, {"data": arguments.data, "in_training": sum(text in seen for text in texts)}


def _perceptron(
    arguments: argparse.Namespace,
    loaded: LoadedModel,
    training: TrainingData,
    pca: PCA,
    device: torch.device,
) -> tuple[Perceptron | None, dict[str, Any] | None]:
    """Train the MLP student as the student was trained; return it and how."""
    if arguments.no_mlp:
        return None, None
    whole = loaded.settings.training.max_steps
    steps = arguments.mlp_steps
    if steps is None:
        steps = whole if loaded.step is None else loaded.step
    elif steps < 1:
        raise DataError(f"--mlp-steps is {steps}; give at least 1, or --no-mlp")
    schedule = arguments.mlp_steps or whole
    bar = StageProgress()
    mlp = train_perceptron(
        loaded.model,
        training,
        steps=steps,
        schedule_steps=schedule,
        changes=loaded.changes,
        pca=pca,
        device=device,
        progress=lambda done, total: bar("training the MLP student", done, total),
    )
    return mlp, {"steps": steps, "schedule_steps": schedule, "hidden": mlp.hidden}
