"""The body of a worker process: it does one job after the other, and reports its progress.

Started by :mod:`app.shell.workers` with one end of a socket. It never imports streamlit. When the
socket closes, the server has ended, however that came about, and so does this process.

Messages are tuples of plain values and of the arguments and results of jobs, pickled between two
processes of this program; nothing that a user may open is ever unpickled.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from ecgxai_core.errors import EcgXaiError
from ecgxai_core.stopping import Stopped, check_stop, stoppable

log = logging.getLogger(__name__)

_SAY_SEC = 0.2
"""Progress is sent at most this often."""

_IDLE_SEC = 0.5
"""Without a job for so long, a new worker loads and builds what jobs need."""

_REST_SEC = 60.0
"""Without a job for so long, a worker gives back the memory of its last jobs."""


class _Worker:
    """One end of the conversation."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._waiting: queue.SimpleQueue[tuple[int, str, tuple[Any, ...]]] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._run = 0
        self._stopped: set[int] = set()
        self._passes = self._said = 0.0
        self._last: tuple[int, int, str] = (0, 0, "")

    def greet(self) -> None:
        """Say that it has started; before anything else is heard or said."""
        try:
            self._say("ready")
        except OSError:
            os._exit(0)  # the server is gone

    def listen(self) -> None:
        """Receive messages of the server; in a thread of its own, so that a stop works at once."""
        while True:
            try:
                kind, *rest = self._channel.recv()
            except (EOFError, OSError):
                os._exit(0)  # the server is gone
            if kind == "run":
                self._waiting.put(tuple(rest))  # type: ignore[arg-type]
            elif kind == "stop":
                self._stopped.add(rest[0])
                if rest[0] > self._run:  # not begun: tools may be loading, which takes seconds
                    self._say("stopped", rest[0], _memory())

    def work(self, spare: Sequence[Callable[[], None]], rest: Callable[[], None]) -> None:
        """One job after the other, for ever. Idle moments go to what is ``spare``: each once, in
        order, left and begun again where a job comes; and to ``rest`` after the last job."""
        undone, used = [*spare], False
        while True:
            try:
                job = self._waiting.get(timeout=_IDLE_SEC if undone else _REST_SEC)
            except queue.Empty:
                if undone:
                    if self._done_meanwhile(undone[0]):
                        del undone[0]
                    used = True
                    continue
                if used:  # else there is nothing to give back
                    self._done_meanwhile(rest)
                job = self._waiting.get()
            self._do(*job)
            used = True
            del job  # its arguments may be large

    def _done_meanwhile(self, function: Callable[[], None]) -> bool:
        """Whether it came to its end before a job came."""
        try:
            with stoppable(lambda _passes: not self._waiting.empty()):
                function()
        except Stopped:
            return False
        except Exception:  # a job that needs what is missing fails by itself
            log.exception("between jobs")
        return True

    def _do(self, run: int, name: str, args: tuple[Any, ...]) -> None:
        self._run, self._passes, self._said, self._last = run, 0.0, 0.0, (0, 0, "")
        if run in self._stopped:
            self._say("stopped", run, _memory())  # a second answer is not listened to
            return
        answer: tuple[Any, ...]
        try:
            with stoppable(self._meter):
                answer = ("done", run, _function(name)(*args, progress=self._progress))
        except Stopped:
            answer = ("stopped", run)
        except EcgXaiError as error:
            answer = ("failed", run, str(error))
        except Exception as error:
            log.exception("%s", name)
            answer = ("failed", run, _fault(error))
        try:
            self._say(*answer, _memory())
        except Exception as error:  # a result that cannot be pickled is a fault of ours
            log.exception("result of %s", name)
            self._say("failed", run, _fault(error), _memory())

    def _meter(self, passes: float) -> bool:
        self._passes += passes
        self._tell()
        return self._run in self._stopped

    def _progress(self, done: int, total: int, text: str = "") -> None:
        check_stop()
        self._last = (int(done), int(total), text)
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_SEC:
            self._said = now
            self._say("progress", self._run, *self._last, self._passes)

    def _say(self, *message: Any) -> None:
        with self._sending:
            self._channel.send(message)


def _function(name: str) -> Callable[..., Any]:
    """The function that ``module:name`` names."""
    module, _, attribute = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def _fault(error: Exception) -> str:
    return f"A fault of the program ({type(error).__name__}); see the server log."


def _memory() -> float:
    """Resident memory of this process, bytes; where the system does not tell, the most it had."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return float(int(file.read().split()[1]) * resource.getpagesize())
    except (OSError, ValueError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _call(name: str) -> None:
    _function(name)()


def main() -> None:
    """``python -m <this module> DESCRIPTOR NICENESS REST SPARE...``; the last name functions."""
    descriptor, niceness = int(sys.argv[1]), int(sys.argv[2])
    rest, *spare = (partial(_call, name) for name in sys.argv[3:])
    logging.basicConfig(format="worker: %(levelname)s: %(message)s", level=logging.WARNING)
    os.nice(niceness)  # pages are answered first
    worker = _Worker(Connection(descriptor))
    worker.greet()
    threading.Thread(target=worker.listen, name="listen", daemon=True).start()
    worker.work(spare, rest)


if __name__ == "__main__":
    main()
