"""Streamlit with every run of a script timed: ``timed_server.py FILE run app/main.py ...``.

One line a run goes to FILE: wall and processor milliseconds from the first line of the script (or
of the fragment that is run alone) to its last message to the browser.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def timed(execute: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Streamlit's function that runs a script, timed in the script's own thread."""

    def run(*arguments: Any) -> Any:
        wall, used = time.perf_counter(), time.thread_time()
        try:
            return execute(*arguments)
        finally:
            spent = time.perf_counter() - wall, time.thread_time() - used
            with file.open("a", encoding="ascii") as out:
                out.write(" ".join(f"{1e3 * seconds:.1f}" for seconds in spent) + "\n")

    return run


def main() -> None:
    """Start streamlit with the arguments after FILE."""
    from streamlit.runtime.scriptrunner import script_runner
    from streamlit.web import cli

    name = "exec_func_with_error_handling"
    setattr(script_runner, name, timed(getattr(script_runner, name), Path(sys.argv[1])))
    sys.argv = ["streamlit", *sys.argv[2:]]
    cli.main()


if __name__ == "__main__":
    main()
