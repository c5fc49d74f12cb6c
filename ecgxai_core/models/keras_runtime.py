"""Keras and TensorFlow, imported on first use, quietly and with settings that repeat.

Anything of Keras that happens to an unknown model happens in a fresh thread: Keras keeps most of
its state (dtype policy, scopes, names) per thread, so nothing of it reaches the rest of the
process; what is global is compared before and after.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ecgxai_core.errors import EcgXaiError, ModelError

__all__ = ["import_keras", "isolated"]

T = TypeVar("T")
log = logging.getLogger(__name__)
_lock = threading.RLock()
_ready = False


def import_keras() -> Any:
    """The ``keras`` module on its TensorFlow backend.

    Raises
    ------
    ModelError
        Keras is set up in a way that changes results: another backend, float16, channels first, or
        bfloat16 arithmetic inside float32 operations.
    """
    global _ready
    with _lock:
        if not _ready:
            _check_environment()
            try:
                with _library_messages_to_log():
                    _first_import()
            except ImportError as error:
                fix = "pip install -r requirements.txt, and unset KERAS_BACKEND"
                problem = f"cannot be imported ({error})"
                raise ModelError("TensorFlow", "", problem, fix) from None
        import keras

        if not _ready:
            _check_setup(keras)
            _ready = True
    return keras


def _check_environment() -> None:
    mode = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE", "STRICT").upper()
    if mode not in {"STRICT", ""}:
        # wrong results were measured for convolutions over 8 or 12 channels on CPUs with AMX
        problem = "lets float32 layers compute in lower precision, which gives wrong probabilities"
        raise ModelError("ONEDNN_DEFAULT_FPMATH_MODE", mode, problem, "unset it")
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        log.warning("TF_ENABLE_ONEDNN_OPTS=0: predictions are slow and differ in the last digits")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # TensorFlow's own default depends on the processor: the same kernels everywhere
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _first_import() -> None:
    import keras  # noqa: F401
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    if tf.config.list_physical_devices("GPU"):
        # the same bytes from every run: no atomics, no TF32
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)


def _check_setup(keras: Any) -> None:
    wanted = {
        "backend": (keras.config.backend(), "tensorflow"),
        "floatx": (keras.config.floatx(), "float32"),
        "image_data_format": (keras.config.image_data_format(), "channels_last"),
    }
    for name, (found, right) in wanted.items():
        if found != right:
            fix = "correct ~/.keras/keras.json, and unset KERAS_BACKEND"
            raise ModelError("Keras", name, f"is {found!r}, not {right!r}", fix)


@contextmanager
def _library_messages_to_log() -> Iterator[None]:
    """Catch what TensorFlow's C++ code writes to standard error while it starts.

    These lines ignore every log setting. They go to our log at debug level, so nothing is lost.
    """
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no standard error to speak of
        yield
        return
    with tempfile.TemporaryFile() as catcher:
        os.dup2(catcher.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            catcher.seek(0)
            for line in catcher.read(100_000).decode(errors="replace").splitlines():
                log.debug("%s", line)


def isolated(name: str, field: str, doing: str, work: Callable[[Any], T]) -> T:
    """``work(keras)`` in a thread of its own, with what is global in Keras checked afterwards.

    Raises
    ------
    ModelError
        Keras refuses the model ``name``, or the model changes Keras for everyone else.
    """
    keras = import_keras()

    def inside() -> T:
        with _state_unchanged(keras, name):
            return work(keras)

    try:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="keras") as pool:
            return pool.submit(inside).result()
    except EcgXaiError:
        raise
    except Exception as error:  # Keras raises whatever its layers raise
        problem = f"Keras cannot {doing} it ({type(error).__name__}: {error})"
        fix = "open it in Keras 3 to see why; a model of Keras 2 can be exported to ONNX (tf2onnx)"
        raise ModelError(name, field, problem, fix) from None


@contextmanager
def _state_unchanged(keras: Any, name: str) -> Iterator[None]:
    """Refuse a model whose reading changes Keras for everyone else, and undo the change."""
    with _lock:
        before = _state(keras)
        custom = dict(keras.saving.get_custom_objects())
        try:
            yield
        finally:
            after = _state(keras)
            if after != before:
                _restore(keras, before, custom)
        changed = [key for key, value in before.items() if after[key] != value]
        if changed:
            problem = f"changes Keras for the whole process ({', '.join(changed)})"
            fix = "do not use this file; it was not made by model.save"
            raise ModelError(name, "configuration", problem, fix)


def _state(keras: Any) -> dict[str, Any]:
    config = keras.config
    return {
        "dtype policy": config.dtype_policy().name,
        "floatx": config.floatx(),
        "epsilon": config.epsilon(),
        "image data format": config.image_data_format(),
        "backend": config.backend(),
        "custom objects": {
            key: id(value) for key, value in keras.saving.get_custom_objects().items()
        },
        "interactive logging": config.is_interactive_logging_enabled(),
        "traceback filtering": config.is_traceback_filtering_enabled(),
    }


def _restore(keras: Any, state: dict[str, Any], custom: dict[str, Any]) -> None:
    keras.config.set_floatx(state["floatx"])
    keras.config.set_epsilon(state["epsilon"])
    keras.config.set_image_data_format(state["image data format"])
    keras.config.set_dtype_policy(state["dtype policy"])
    registry = keras.saving.get_custom_objects()
    registry.clear()
    registry.update(custom)
