"""Entry point of ``ecgxai``: verbs, exit codes and one-line errors.

Exit codes: 0 done, 1 a fault of the program, 2 bad input, 3 done but some records failed,
130 interrupted. Errors go to standard error on one line; ``ECGXAI_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ecgxai_core import __version__
from ecgxai_core.cli import (
    benchmarking,
    datasets,
    explaining,
    inspection,
    model,
    reporting,
    running,
    training,
)
from ecgxai_core.cli.console import say, say_error, set_up_logging
from ecgxai_core.errors import EcgXaiError

__all__ = ["app", "main", "run_cli"]

DONE, FAULT, BAD_INPUT, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="ecgxai",
    help="Make, see and judge explanations of 12-lead ECG classifiers. For research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"ecgxai {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="show the version", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Make, see and judge explanations of 12-lead ECG classifiers. For research use only."""


app.command("predict")(explaining.predict)
app.command("select")(running.select)
app.command("explain")(explaining.explain)
app.command("run")(running.run)
app.command("summary")(running.summary)
app.command("doctor")(inspection.doctor)
app.add_typer(model.app, name="model")
app.add_typer(inspection.cache_app, name="cache")
app.add_typer(benchmarking.app, name="benchmark")
datasets.register(app)
reporting.register(app)
training.register(app)


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    set_up_logging()
    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except EcgXaiError as error:
        say_error(str(error))
        return BAD_INPUT
    except TyperException as error:
        said = error.format_message()
        if said.startswith("Usage:"):  # a group without its verb: the help itself is the answer
            sys.stderr.write(said + "\n")
        else:
            say_error(f"{said.rstrip('.')}. Fix: see ecgxai --help")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        say_error("interrupted; the same command carries on where it stopped")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (``| head``): not an error of anyone.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return DONE
    except OSError as error:
        name = os.path.basename(str(error.filename or "")) or "file"
        say_error(f"{name}: {error.strerror or error}. Fix: check the path and its permissions")
        return BAD_INPUT
    except Exception as error:
        if os.environ.get("ECGXAI_DEBUG"):
            traceback.print_exc()
        say_error(
            f"a fault of the program: {type(error).__name__}: {error}. Fix: set ECGXAI_DEBUG=1 "
            "for details and report it"
        )
        return FAULT


def main() -> None:
    """Console script."""
    sys.exit(run_cli())
