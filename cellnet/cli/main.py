"""The entry point of the command line: find the command, run it, print its result."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from typing import NoReturn

import cellnet
from cellnet.cli.output import to_json
from cellnet.errors import CellnetError

COMMANDS = {
    "info": "what the settings mean: thresholds, tiers, reach, parameters",
    "train": "train a student, or go on with a run",
    "evaluate": "measure a student next to its teacher, PCA and an MLP of equal size",
    "probe": "carry single sentences through the cube and show what happens",
    "train-decoder": "train what writes sentences from the reconstructions of a student",
    "export": "write a student as a folder or one file",
    "runs": "list, show, describe, delete and restore runs",
    "prove": "prove that the lattice of a student computes",
    "bench": "time training steps and measure the numerical error",
}

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser that names the flag that was probably meant, and lists its many flags only when asked."""

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse all arguments; on an unknown one exit with code 2."""
        parsed, unknown = self.parse_known_args(arguments)
        if unknown:
            known = [flag for action in self._actions for flag in action.option_strings]
            close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; see {self.prog} --help"
            self.error(f"unknown argument {unknown[0]}{hint}")
        return parsed

    def format_usage(self) -> str:
        """Return the command with its positional arguments; the flags are in the help."""
        positional = "".join(
            f" {action.metavar or action.dest}" for action in self._actions if not action.option_strings
        )
        return f"usage: {self.prog}{positional} [flags]\n"

    def error(self, message: str) -> NoReturn:
        """Exit with one line on stderr."""
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    With ``--json`` exactly one line of JSON goes to stdout and everything else to stderr.

    Args:
        argv: arguments without the program's name; those of the process by default.

    Returns:
        The exit code: 0; 1 if a proof or a training failed; 130 after Ctrl-C; 2 for an error, which is
        then told on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        return _without_command(arguments)
    # Only the chosen command is imported, so that each starts as fast as it can.
    command = import_module(f"cellnet.cli.{name.replace('-', '_')}")
    parser = Parser(prog=f"cellnet {name}", description=command.__doc__, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print one line of JSON for machines")
    command.add_arguments(parser)
    parser.usage = parser.format_usage().removeprefix("usage: ").strip()
    parsed = parser.parse(arguments[1:])
    try:
        with redirect_stdout(sys.stderr) if parsed.json else nullcontext():
            result = command.run(parsed)
    except CellnetError as error:
        print(f"cellnet {name}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(f"cellnet {name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    print(to_json(result.values) if parsed.json else result.text)
    return int(result.code)


def _without_command(arguments: list[str]) -> int:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog="cellnet",
        usage="cellnet COMMAND [flags]; cellnet COMMAND --help lists them",
        description=f"{cellnet.__doc__}\n\ncommands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"cellnet {cellnet.__version__}")
    if arguments and not arguments[0].startswith("-"):
        close = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; commands: {', '.join(COMMANDS)}"
        parser.error(f"unknown command {arguments[0]!r}{hint}")
    parser.parse(arguments)
    parser.print_help()
    return 0
