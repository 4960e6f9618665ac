"""The Probe page's way back to text, with a made-up teacher and a decoder trained on its words."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import torch
from test_probe_page import SENTENCES, Install, install, open_probe, shown, trained
from transformers import BertTokenizerFast

from cellnet.decoder import DecoderData, GenerativeDecoder, Vocabulary, train_decoder
from cellnet.decoder.generative import weights_fingerprint
from cellnet.runs.loading import load_model
from cellnet.settings import with_changes
from cellnet.teacher import teacher_fingerprint
from lab.training import TrainingService

__all__ = ["install"]


def make_decoder(service: TrainingService, run: str, folder: Path) -> GenerativeDecoder:
    """A decoder for the student of a run, trained for a moment on two sentences."""
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncells\nlook\naround", "utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    settings = with_changes(
        load_model(run, service.store.root).settings,
        {
            "decoder.width": 8,
            "decoder.layers": 1,
            "decoder.heads": 2,
            "decoder.max_tokens": 4,
            "decoder.max_steps": 2,
        },
    )
    texts = ["cells look", "look around"]
    vocabulary = Vocabulary.of(texts, tokenizer, 0)
    vectors = np.random.default_rng(0).normal(size=(2, settings.embedding.teacher_width)).astype(np.float32)
    data = DecoderData.of(vectors, texts, vocabulary, tokenizer, 4)
    decoder = train_decoder(data, vocabulary, settings, device=torch.device("cpu"))
    decoder.facts["teacher"] = {"fingerprint": teacher_fingerprint(settings.embedding)}
    decoder.facts["student"] = {"step": 3}
    return decoder


def test_without_a_decoder_the_page_says_how_to_train_one(install: Install) -> None:
    service = install()
    run = trained(service)
    app = open_probe(probe_text=SENTENCES)
    assert not app.exception
    assert any("No decoder has been trained" in info.value for info in app.info)
    [command] = re.findall(r"<pre[^>]*>(cellnet train-decoder [^<]*)</pre>", shown(app))
    source, option, step = unescape(command).removeprefix("cellnet train-decoder ").split()
    assert option == "--step"
    assert load_model(source, Path("nowhere"), step=int(step)).run == run


def test_original_retrieved_and_written_stand_side_by_side(install: Install, tmp_path: Path) -> None:
    service = install()
    run = trained(service)
    decoder = make_decoder(service, run, tmp_path)
    decoder.save_pretrained(service.store.folder(run) / "decoder")
    app = open_probe(probe_text=SENTENCES)
    assert not app.exception
    captions = [caption.value for caption in app.caption]
    assert any("trained on step 3, the student is of step 6" in caption for caption in captions)
    assert sum("by the teacher: " in caption for caption in captions) == 2
    words = shown(app).split("<q>")
    assert any(set(word.split("</q>")[0].split()) <= {"cells", "look", "around"} for word in words[1:])


def test_a_decoder_for_this_very_student_needs_no_warning_and_one_of_another_teacher_is_refused(
    install: Install, tmp_path: Path
) -> None:
    service = install()
    run = trained(service)
    decoder = make_decoder(service, run, tmp_path)
    decoder.facts["student"]["weights"] = weights_fingerprint(load_model(run, service.store.root).model)
    folder = service.store.folder(run) / "decoder"
    decoder.save_pretrained(folder)
    assert "generated" in [caption.value for caption in open_probe(run=run, probe_text=SENTENCES).caption]
    decoder.facts["teacher"]["fingerprint"] = "0" * 64
    decoder.save_pretrained(folder)
    app = open_probe(run=run, probe_text=SENTENCES)
    assert not app.exception
    assert any("was trained with another teacher" in error.value for error in app.error)


def test_a_damaged_decoder_is_told(install: Install, tmp_path: Path) -> None:
    service = install()
    run = trained(service)
    folder = service.store.folder(run) / "decoder"
    make_decoder(service, run, tmp_path).save_pretrained(folder)
    (folder / "decoder.safetensors").write_bytes(b"")
    app = open_probe(probe_text=SENTENCES)
    assert not app.exception
    assert any("bytes instead of" in error.value for error in app.error)
