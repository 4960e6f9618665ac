"""Train what writes the sentence that a student's reconstruction stands for; Ctrl-C stops and keeps it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cellnet.cli.options import add_model_source, add_setting_flags, changes_from
from cellnet.cli.output import Result, table
from cellnet.cli.progress import EmbeddingProgress, StageProgress, StopOnInterrupt, say
from cellnet.decoder import DecoderData, Vocabulary, check_target, reconstructions
from cellnet.decoder.generative import weights_fingerprint
from cellnet.decoder.report import HeldOut, report
from cellnet.decoder.training import Rows, train_decoder
from cellnet.device import describe_device, open_device
from cellnet.evaluation import SentenceReader
from cellnet.measures import Embeddings
from cellnet.runs.loading import load_model
from cellnet.settings import Settings, flat_fields, with_changes
from cellnet.teacher import Teacher
from cellnet.training import TrainingData, prepare_data

ASIDE_SHARE = 0.05
MOST_ASIDE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    add_model_source(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the decoder goes; by default the folder 'decoder' of the run or export, where "
        "probe --decoder auto finds it",
    )
    parser.add_argument("--max-steps", type=int, metavar="N", help="steps, short for --decoder.max_steps")
    parser.add_argument(
        "--report-sentences",
        type=int,
        default=500,
        metavar="N",
        help="held-out sentences, drawn at random, that the report writes; 0 takes all (%(default)s)",
    )
    parser.add_argument(
        "--report-data",
        metavar="FILE",
        help="sentences to measure the decoder on, which retrieval may find too, each for the others; by "
        "default the validation part of the training's data",
    )
    decoder = (name for name, _ in flat_fields() if name.startswith("decoder."))
    add_setting_flags(
        parser,
        "device.device",
        "device.threads",
        "data.source",
        "data.column",
        "data.limit",
        "data.variants",
        "data.cache_dir",
        "embedding.teacher",
        "embedding.refinement_steps",
        "init.seed",
        *decoder,
    )


def run(arguments: argparse.Namespace) -> Result:
    """Train the decoder, measure it on the held-out sentences, and save both."""
    loaded = load_model(arguments.model, arguments.runs, step=arguments.step)
    settings = with_changes(loaded.settings, _changes(arguments))
    out = check_target(loaded.decoder_folder if arguments.out is None else arguments.out)
    device = open_device(settings)
    data = prepare_data(settings, progress=EmbeddingProgress())
    if data.report is not None:
        say(data.report.summary)
    teacher = Teacher.load(settings.embedding, device)
    model, bar = loaded.model.to(device).refining(settings.embedding.refinement_steps), StageProgress()

    def carry(embeddings: Embeddings, label: str) -> Embeddings:
        return reconstructions(
            model, embeddings, device=device, progress=lambda done, total: bar(label, done, total)
        )

    texts, embeddings = _held_out(arguments.report_data, data, settings, teacher)
    train = carry(data.train, "carrying training sentences")
    validation = carry(embeddings, "carrying held-out sentences")
    vocabulary = Vocabulary.of(data.train_texts, teacher.tokenizer, settings.decoder.vocabulary)
    longest = settings.decoder.max_tokens

    def as_read(embeddings: Embeddings, sentences: Sequence[str]) -> DecoderData:
        return DecoderData.of(embeddings, sentences, vocabulary, teacher.tokenizer, longest)

    held_out = as_read(validation, texts)
    known = as_read(train, data.train_texts)
    if data.variants is not None:  # no sentences, but the more texts it reads the fewer it learns by heart
        known = known.followed_by(as_read(carry(data.variants, "carrying variants"), data.variant_texts))
    aside, kept = _keep_aside(len(known), len(train), settings.init.seed)
    with StopOnInterrupt() as interrupt:
        decoder = train_decoder(
            known.part(kept),
            vocabulary,
            settings,
            device=device,
            aside=known.part(aside) if len(aside) else None,
            progress=lambda done, total: bar("training the decoder", done, total),
            checked=lambda step, loss: say(
                f"step {step}: loss per token {loss:.4f} on sentences kept aside"
            ),
            should_stop=lambda: interrupt.requested,
        )
    decoder.facts |= {
        "teacher": {"name": settings.embedding.teacher, "fingerprint": teacher.fingerprint},
        "student": {
            "name": loaded.name,
            "run": loaded.run,
            "step": loaded.step,
            "weights": weights_fingerprint(model),
        },
        "report": None,
    }
    decoder.save_pretrained(out)
    say(f"decoder written to {out}; measuring it")
    also = () if arguments.report_data is None else texts
    measured = report(
        decoder,
        HeldOut(texts, embeddings, held_out),
        (*data.train_texts, *data.validation_texts, *also),
        np.concatenate([data.train, data.validation, embeddings[: len(also)]]),
        teacher.encode,
        sentences=arguments.report_sentences,
        seed=settings.init.seed,
    )
    decoder.facts["report"] = measured
    decoder.save_pretrained(out)
    values = {
        "model": loaded.name,
        "run": loaded.run,
        "step": loaded.step,
        "out": str(out),
        "data": settings.data.source,
        "report_data": arguments.report_data,
        "device": describe_device(device),
        "training": decoder.facts["training"],
        **measured,
    }
    return Result(values, _text(values))


def _keep_aside(rows: int, sentences: int, seed: int) -> tuple[Rows, Rows]:
    """Return the rows of sentences that choose the weights, and of those that are learned from.

    Rows are n sentences, then variants of them round by round: no variant of a sentence kept aside is
    learned from, other than its end that another sentence was joined to.
    """
    order = np.random.default_rng(seed).permutation(sentences)
    aside = np.sort(order[: min(MOST_ASIDE, int(ASIDE_SHARE * sentences))])
    learned = np.ones(sentences, dtype=bool)
    learned[aside] = False
    return aside, np.flatnonzero(np.resize(learned, rows))


def _held_out(
    source: str | None, data: TrainingData, settings: Settings, teacher: Teacher
) -> tuple[Sequence[str], Embeddings]:
    """Return the sentences to measure on, and their embeddings by the teacher."""
    if source is None:
        return data.validation_texts, data.validation
    reader = SentenceReader(
        settings, teacher, column=settings.data.column, progress=EmbeddingProgress(), say=say
    )
    texts = reader.texts(source)
    return texts, reader.embed(texts, Path(source).name)


def _changes(arguments: argparse.Namespace) -> dict[str, Any]:
    changes = changes_from(arguments)
    if arguments.max_steps is not None:
        changes["decoder.max_steps"] = arguments.max_steps
    return changes


def _text(values: dict[str, Any]) -> str:
    training = values["training"]
    kinds = [kind for kind in ("greedy", "beam", "nearest", "retrieval") if kind in values]
    head = (
        f"decoder of {values['model']}, written to {values['out']}\n"
        f"{training['parameters']} parameters, {training['vocabulary']} tokens, {training['steps']} steps "
        f"on {training['sentences']} sentences; weights of step {training['kept_step']}, the best on "
        f"{training['kept_aside']} kept aside"
    )
    scores = table(
        [
            (kind, *(values[kind][key] for key in ("bleu", "token_f1", "cosine")), _interval(values[kind]))
            for kind in kinds
        ],
        ("text", "BLEU", "token F1", "cosine", "95 %"),
    )
    gain = values["generative_minus_retrieval"]
    low, high = gain["interval"]
    notes = (
        f"{values['sentences']} held-out sentences: loss {values['loss']:.3f} per token, perplexity "
        f"{values['perplexity']:.1f}, {values['unknown_share']:.2%} of the tokens unknown\n"
        f"{values['written']} written; cosine is the teacher's, of the text and the original; retrieval "
        "may not find the original\n"
        f"cosine of the student's reconstruction itself {values['reconstruction_cosine']:.3f}\n"
        f"cosine of generative minus retrieval {gain['cosine']:+.3f} ({low:+.3f} to {high:+.3f})"
    )
    examples = "\n\n".join(
        table(
            [
                ("original", "", example["original"]),
                *((kind, f"{example[kind]['cosine']:.3f}", example[kind]["text"]) for kind in kinds),
            ]
        )
        for example in values["examples"]
    )
    return f"{head}\n\n{notes}\n\n{scores}\n\n{examples}"


def _interval(score: dict[str, Any]) -> str:
    low, high = score["cosine_interval"]
    return f"{low:.3f} to {high:.3f}"
