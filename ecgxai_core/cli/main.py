"""Entry point of ``ecgxai``: verbs, exit codes and one-line errors.

Exit codes: 0 done, 1 a fault of the program, 2 bad input, 3 done but some records failed,
130 interrupted (Ctrl-C), 143 terminated (SIGTERM). Errors go to standard error on one line;
``ECGXAI_DEBUG=1`` adds the traceback.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from ecgxai_core import __version__
from ecgxai_core.cli import (
    benchmarking,
    comparing,
    concepts,
    datasets,
    explaining,
    feedback,
    foreign,
    importing,
    inspection,
    model,
    reporting,
    running,
    study,
    training,
    what_if,
)  # fmt: skip
from ecgxai_core.cli.console import say, say_error, set_up_logging
from ecgxai_core.cli.options import ListingCommand
from ecgxai_core.errors import EcgXaiError

__all__ = ["app", "main", "run_cli"]

DONE, FAULT, BAD_INPUT, SOME_FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143
_CARRIES_ON = "the same command continues where it stopped"

app = typer.Typer(
    name="ecgxai",
    help="Make, view and evaluate explanations of 12-lead ECG classifiers. For research use only.",
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
    """Make, view and evaluate explanations of 12-lead ECG classifiers. For research use only."""


_VERBS: dict[str, Callable[..., None]] = {
    "predict": explaining.predict,
    "select": running.select,
    "explain": explaining.explain,
    "evaluate-map": foreign.evaluate_map,
    "compare": comparing.compare,
    "cohort": comparing.cohort,
    "concepts": concepts.concepts,
    "run": running.run,
    "merge": running.merge,
    "summary": running.summary,
    "what-if": what_if.what_if,
    "review-queue": study.review_queue,
    "doctor": inspection.doctor,
    "simulate": datasets.simulate,
    "demo": datasets.demo,
    "fetch": datasets.fetch,
    "import": importing.import_,
    "report": reporting.report,
    "report-card": reporting.report_card,
    "train": training.train,
    "ablate": training.ablate,
    "search": training.search,
    "cross-validate": training.cross_validate,
    "soft-labels": training.soft_labels,
    "evaluate-model": training.evaluate_model,
    "app": inspection.dashboard,
}
for _name, _verb in _VERBS.items():
    app.command(_name, cls=ListingCommand)(_verb)
app.add_typer(model.app, name="model")
app.add_typer(inspection.cache_app, name="cache")
app.add_typer(benchmarking.app, name="benchmark")
app.add_typer(training.runs_app, name="runs")
app.add_typer(feedback.app, name="feedback")
app.add_typer(study.app, name="study")


def run_cli(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    set_up_logging()
    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        if code == INTERRUPTED:  # typer has handled Ctrl-C silently
            return _interrupted()
        return code if isinstance(code, int) else DONE
    except EcgXaiError as error:
        say_error(str(error))
        return BAD_INPUT
    except TyperException as error:
        said = error.format_message()
        if said.startswith("Usage:"):  # a group without its verb: show its help
            sys.stderr.write(said + "\n")
        else:
            say_error(f"{said.rstrip('.')}. Fix: see ecgxai --help")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except _Terminated:
        say_error(f"terminated; {_CARRIES_ON}")
        return TERMINATED
    except BrokenPipeError:
        # the reader of the output has ended (``| head``), which is no error
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
            "for details, and report it"
        )
        return FAULT


def _interrupted() -> int:
    say_error(f"interrupted; {_CARRIES_ON}")
    return INTERRUPTED


class _Terminated(BaseException):
    """SIGTERM: ends the work as Ctrl-C does, so that locks and temporary files are released."""


def _terminated(_number: int, _frame: object) -> None:
    raise _Terminated


def main() -> None:
    """Console script."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(run_cli())
