import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_runner import Cli

from cellnet.cli.main import main
from cellnet.decoder import GenerativeDecoder
from cellnet.runs import RunStore

TINY = (
    *("--decoder.width", 16, "--decoder.layers", 1, "--decoder.heads", 2, "--decoder.max_tokens", 8),
    *("--decoder.batch_size", 16, "--decoder.beams", 2),
)


def train(cli: Cli, *arguments: object) -> dict[str, object]:
    flags = ("--runs", cli.runs, *TINY, "--max-steps", 30, "--report-sentences", 9)
    return cli.json("train-decoder", "latest", *flags, *arguments)


@pytest.fixture(scope="module")
def with_decoder(
    trained_folder: Path, tiny_teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of the trained run, with a decoder."""
    folder = tmp_path_factory.mktemp("with_decoder") / "all"
    shutil.copytree(trained_folder, folder)
    cli = Cli(folder, tiny_teacher, None)
    flags = (
        "train-decoder",
        "latest",
        "--runs",
        cli.runs,
        *TINY,
        "--max-steps",
        4,
        "--report-sentences",
        4,
    )
    assert main([str(flag) for flag in flags]) == 0
    return folder


def test_it_can_be_measured_on_other_sentences(trained: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("\n".join(f"another {word} of the words" for word in ("one", "two", "three")), "utf-8")
    values = train(trained, "--out", tmp_path / "decoder", "--report-data", other)
    assert values["report_data"] == str(other)
    assert values["sentences"] == values["written"] == 3


def test_variants_are_learned_from_except_those_of_sentences_kept_aside(
    trained: Cli, tmp_path: Path
) -> None:
    plain, more = (
        train(trained, "--out", tmp_path / str(count), "--data.variants", count)["training"]
        for count in (0, 2)
    )
    assert isinstance(plain, dict)
    assert isinstance(more, dict)
    assert plain["kept_aside"] == more["kept_aside"] > 0
    assert more["sentences"] == 3 * plain["sentences"]


@pytest.fixture
def decoding(with_decoder: Path, tiny_teacher: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(with_decoder, tiny_teacher, capsys)


def test_a_decoder_is_trained_measured_and_saved(trained: Cli, tmp_path: Path) -> None:
    values = train(trained, "--out", tmp_path / "decoder")
    with RunStore(trained.runs) as store:
        assert values["run"] == store.get("latest").id
    training = values["training"]
    assert isinstance(training, dict)
    assert training["steps"] == 30
    assert training["sentences"] + training["kept_aside"] + values["sentences"] == 80
    assert training["vocabulary"] == 59  # the other word is in held-out sentences alone
    assert (training["cut"], training["unknown_share"]) == (0, 0.0)
    assert training["losses"][-1]["step"] == 30
    assert values["perplexity"] == pytest.approx(np.exp(values["loss"]))
    assert values["perplexity"] < 60  # of 59 words and an end
    assert values["written"] == 9
    for kind in ("greedy", "beam", "nearest", "retrieval"):
        scores = values[kind]
        assert 0 <= scores["bleu"] <= 1
        assert 0 <= scores["token_f1"] <= 1
        low, high = scores["cosine_interval"]
        assert -1 <= low <= scores["cosine"] <= high <= 1
    gain = values["generative_minus_retrieval"]["cosine"]
    assert gain == pytest.approx(values["nearest"]["cosine"] - values["retrieval"]["cosine"])
    lines = trained.data.read_text("utf-8").splitlines()
    for example in values["examples"]:
        assert example["original"] in lines
        assert example["retrieval"]["text"] in lines
        assert example["retrieval"]["text"] != example["original"]
        assert set(example["beam"]["text"].split()) <= {f"word{number}" for number in range(60)}
    saved = GenerativeDecoder.from_pretrained(tmp_path / "decoder")
    assert saved.facts["report"]["loss"] == values["loss"]
    assert saved.facts["student"]["run"] == values["run"]
    assert train(trained, "--out", tmp_path / "again")["loss"] == values["loss"]


def test_probe_writes_with_the_decoder_of_the_run(decoding: Cli) -> None:
    text = decoding.data.read_text("utf-8").splitlines()[0]
    asked = ("probe", "latest", text, "word1 word2", "--runs", decoding.runs)
    values = decoding.json(*asked, "--decoder", "auto")
    with RunStore(decoding.runs) as store:
        folder = store.folder(store.get("latest").id) / "decoder"
    assert Path(values["decoder"]["folder"]) == folder.resolve()
    assert values["decoder"]["same_student"] is True
    for probe in values["probes"]:
        for who in ("student", "teacher"):
            assert probe["written"][who]["text"]
            assert probe["written"][who]["score"] < 0
            assert probe["written"][who]["nearest"]
    assert decoding.json(*asked, "--decoder.mode", "generative")["probes"] == values["probes"]
    assert decoding.json(*asked)["decoder"] is None
    code, out, _ = decoding(*asked, "--decoder", folder, "--step", 2)
    assert code == 0
    assert "from the student" in out
    assert "was trained for another student" in out


def test_what_is_missing_is_told_with_the_command_that_makes_it(
    trained: Cli, decoding: Cli, tmp_path: Path
) -> None:
    code, _, err = trained("probe", "latest", "word1", "--runs", trained.runs, "--decoder", "auto")
    assert code == 2
    command = err.split("train one with: cellnet ")[1].split()
    assert main([*command, *map(str, TINY), "--max-steps", "1", "--out", str(tmp_path / "made")]) == 0
    with RunStore(trained.runs) as store:
        run = store.get("latest").id
    checkpoint = tmp_path / "elsewhere"
    shutil.copytree(trained.runs / run / "checkpoints" / "step-00000006", checkpoint)
    code, _, err = trained("train-decoder", checkpoint)
    assert code == 2
    assert "--out" in err
    code, _, err = trained("train-decoder", "latest", "--runs", trained.runs, "--out", trained.folder)
    assert code == 2
    assert "give a new name" in err


def test_a_decoder_of_another_teacher_is_refused(decoding: Cli, tmp_path: Path) -> None:
    with RunStore(decoding.runs) as store:
        decoder = GenerativeDecoder.from_pretrained(store.folder(store.get("latest").id) / "decoder")
    decoder.facts["teacher"]["fingerprint"] = "0" * 64
    decoder.save_pretrained(tmp_path / "foreign")
    asked = ("probe", "latest", "word1", "--runs", decoding.runs, "--decoder", tmp_path / "foreign")
    code, _, err = decoding(*asked)
    assert code == 2
    assert "another teacher" in err


def test_an_export_keeps_its_decoder_inside(decoding: Cli, tmp_path: Path) -> None:
    decoding.json("export", "latest", tmp_path / "student", "--runs", decoding.runs)
    code, _, err = decoding("probe", tmp_path / "student", "word1", "--decoder", "auto")
    assert code == 2
    assert f"cellnet train-decoder {tmp_path / 'student'}\n" in err
    made = decoding.json("train-decoder", tmp_path / "student", *TINY, "--max-steps", 1)
    assert made["out"] == str(tmp_path / "student" / "decoder")
    values = decoding.json("probe", tmp_path / "student", "word1", "--decoder", "auto")
    assert values["decoder"]["same_student"] is True
