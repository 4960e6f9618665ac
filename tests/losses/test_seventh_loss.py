"""A further loss is one class and one line: added to a copy of the package, it is used everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cellnet
from cellnet.losses import LOSS_NAMES

CLASS = '''"""A loss for a test."""

from torch import Tensor

from cellnet.losses.base import Loss, LossInput


class SmallnessLoss(Loss):
    """The mean absolute value of what the student makes."""

    def __call__(self, batch: LossInput) -> Tensor:
        return batch.output.embeddings.abs().mean()
'''
LINE = '    "smallness": LossLine("cellnet.losses.smallness:SmallnessLoss", 0.125, "size"),\n'
TABLE = "LOSSES: dict[str, LossLine] = {\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with a copy of cellnet that has one more loss."""
    source = Path(cellnet.__file__).parent
    copy = tmp_path / "copy" / "cellnet"
    copy.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name in ("losses", "settings"):
            shutil.copytree(entry, copy / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif entry.name != "__pycache__":
            (copy / entry.name).symlink_to(entry)
    (copy / "losses" / "smallness.py").write_text(CLASS)
    table = copy / "settings" / "loss.py"
    text = table.read_text()
    assert text.count(TABLE) == 1
    table.write_text(text.replace(TABLE, TABLE + LINE))
    return copy.parent


def test_a_seventh_loss_is_one_class_and_one_line(package: Path, tmp_path: Path) -> None:
    root = Path(cellnet.__file__).parents[1]
    program = Path(__file__).with_name("seventh_loss_program.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "runs")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(package), str(root)])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    names = ["smallness", *LOSS_NAMES]
    assert seen["names"] == names
    assert seen["default"] == 0.125
    assert seen["toml"]
    assert seen["change"] == [[1, "loss.smallness", 0.25, 0.5]]
    assert seen["weights"] == pytest.approx([0.25, 0.5, 0.5, 0.5])
    assert len(seen["measured"]) == 2
    for measured, expected in seen["measured"]:
        assert measured == pytest.approx(expected, rel=1e-5)
    assert seen["loaded"] == 0.5
    assert seen["logged"] == {"train": True, "validation": True}
    assert [title for title in seen["panels"] if title in names] == [
        name for name in names if "_" not in name
    ]
    assert seen["overlays"]
    assert seen["form"] == ["Smallness"]
    assert seen["exceptions"] == 0
    assert seen["mlp_moves"]
