"""The public face: a few verbs that read, predict, explain, fuse and evaluate.

Everything here is reached as ``import ecgxai_core as ecgxai``; each verb is a thin wrapper with
defaults for all but the record, the model and the target.
"""

from __future__ import annotations

import atexit
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgxai_core.case import Case
from ecgxai_core.errors import ParameterError
from ecgxai_core.params import ExplainParams, Profile, SelectionParams, checked
from ecgxai_core.params import profile as named_profile
from ecgxai_core.store import Store
from ecgxai_core.types import Attribution, FusedMap, Map, Record, is_preview, joined_codes

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from ecgxai_core.explainers import Preview
    from ecgxai_core.metrics import Evaluation
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.models.protocol import Classifier
    from ecgxai_core.pipeline.extra_beat import ExtraBeatTest
    from ecgxai_core.progress import Progress

__all__ = [
    "EvaluationResult",
    "Maps",
    "evaluate",
    "explain",
    "explain_all",
    "extra_beat_test",
    "fuse",
    "load_model",
    "plot",
    "predict",
    "read",
    "select",
    "simulate",
]


def read(path: str | os.PathLike[str], *, checksum: str = "warn") -> Record:
    """Read one ECG record; see :func:`ecgxai_core.records.read.read_record`.

    Parameters
    ----------
    path
        WFDB header (``.hea``), its ``.mat`` or ``.dat``, or a DICOM file.
    checksum
        What a wrong WFDB checksum is: a warning (``"warn"``) or an error (``"error"``).

    Raises
    ------
    RecordError
        The record is refused.
    """
    from ecgxai_core.pipeline.predict import checksum_policy
    from ecgxai_core.records.read import read_record

    return read_record(path, checksum=checksum_policy(checksum))


def load_model(path: str | os.PathLike[str] | None = None) -> LazyClassifier:
    """Load a classifier: the shipped default, a shipped one by name, or a model file.

    Parameters
    ----------
    path
        ``None`` = the default; ``"ptbxl_attention"`` and the like = a shipped model; else a Keras
        file with its manifest beside it.

    Raises
    ------
    ModelError
        The file or its manifest is refused.
    """
    from ecgxai_core.models.loading import LazyClassifier
    from ecgxai_core.settings import default_model, shipped_models

    if path is None:
        return LazyClassifier(default_model())
    return LazyClassifier(shipped_models().get(os.fspath(path), Path(path)))


def simulate(mechanism: str = "sinus_rhythm", seed: int = 0, **options: Any) -> Record:
    """Simulate a 12-lead record, for teaching and tests; it says nothing about patients.

    Parameters
    ----------
    mechanism, seed, options
        As for :func:`ecgxai_core.simulation.simulate`, which also gives the truth.
    """
    from ecgxai_core.simulation import simulate as simulated

    return simulated(mechanism, seed=seed, **options).record


def predict(
    records: Record | str | os.PathLike[str] | Sequence[Record | str | os.PathLike[str]],
    model: Classifier | None = None,
    *,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Probabilities of records, files or folders.

    Returns
    -------
    One row per record: ``record``, ``warnings`` (codes, separated by ``;``), then one column per
    class of the model.

    Raises
    ------
    RecordError, ModelError
        A record cannot be read, or does not fit the model.
    """
    import pandas as pd

    from ecgxai_core.models.preprocess import prepare
    from ecgxai_core.models.training_range import UNLIKE, unlike_training
    from ecgxai_core.records.read import find_records

    model = model or load_model()
    given = [records] if isinstance(records, Record | str | os.PathLike) else list(records)
    todo: list[Record | Path] = []
    for item in given:
        todo += [item] if isinstance(item, Record) else find_records([Path(item)]) or [Path(item)]
    rows = []
    with _shown("predict", progress) as report:
        for done, item in enumerate(todo):
            record = item if isinstance(item, Record) else read(item)
            report(done, len(todo), record.name)
            seen = prepare(record, model.manifest)
            values = model.predict(seen.values[None])[0]
            unlike = [UNLIKE] if unlike_training(model, seen.values[None])[0] else []
            codes = [*record.warnings, *seen.warnings, *unlike]
            rows.append(
                {
                    "record": record.name,
                    "warnings": joined_codes(warning.code for warning in codes),
                    **{code: float(p) for code, p in zip(model.classes, values, strict=True)},
                }
            )
        report(len(todo), len(todo), "")
    return pd.DataFrame(rows, columns=["record", "warnings", *model.classes])


def select(
    data: str | os.PathLike[str],
    model: Classifier | None = None,
    targets: Sequence[str] | None = None,
    *,
    store: Store | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> pd.DataFrame:
    """Good examples of each diagnosis in a folder of records (``sel_df``).

    Parameters
    ----------
    data
        Folder of records.
    targets
        Diagnoses by code, alias or abbreviation; all by default.
    params
        Fields of :class:`ecgxai_core.params.SelectionParams` (``k_per_class``, ``min_prob``, ...).

    Raises
    ------
    RunError
        No record could be read, or none fits.
    """
    from ecgxai_core.pipeline.predict import predict_data
    from ecgxai_core.pipeline.select import select_records

    model = model or load_model()
    with _shown("select", progress) as report:
        predictions = predict_data(Path(data), model, store or _store(), progress=report)
    return select_records(predictions, checked(SelectionParams, params), targets).frame


def explain(
    record: Record,
    model: Classifier,
    target: str,
    methods: str | Sequence[str] | None = None,
    *,
    profile: str | Profile = "default",
    start_sec: float | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    preview: Preview | None = None,
    **params: Any,
) -> Maps:
    """Explain one prediction by one or several methods.

    Parameters
    ----------
    record, model
        From :func:`read` and :func:`load_model`.
    target
        SNOMED-CT code, alias or abbreviation.
    methods
        Names in :data:`ecgxai_core.explainers.METHODS`; by default those of the profile.
    profile
        ``"default"``, ``"reference"``, or a :class:`~ecgxai_core.params.Profile`.
    start_sec
        Start of the model's window, seconds of the record; ``None`` = as its manifest says.
    store
        Where results are kept and looked up; ``None`` = the cache of this machine.
    progress
        Called with (done, total, what); ``None`` = a bar on a terminal or in a notebook, else
        nothing.
    preview
        Called with each preliminary map of TimeSHAP while it is refined, such as ``shown.append``:
        what has been shown remains when the work is interrupted. A preliminary map says how large
        its error may be; the final one does not depend on who looks.
    params
        Fields of :class:`~ecgxai_core.params.ExplainParams` that replace those of the profile.

    Returns
    -------
    The attributions by method.

    Raises
    ------
    DiagnosisError
        The model has no such target.
    ExplanationError, ModelError, ParameterError
        The record cannot be explained this way, does not fit the model, or no such method or
        parameter.
    """
    from ecgxai_core.explainers import askable, params_for
    from ecgxai_core.pipeline.explain import explain_case

    chosen = askable(_profile(profile, params), model)
    names = (methods,) if isinstance(methods, str) else tuple(methods or chosen.methods)
    by_method = params_for(chosen, names)
    case = Case(record, model, target, start_sec)
    with _shown("explain", progress) as report:
        return Maps(explain_case(case, by_method, store or _store(), report, preview))


def explain_all(
    record: Record,
    model: Classifier,
    methods: str | Sequence[str] | None = None,
    *,
    profile: str | Profile = "default",
    start_sec: float | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> dict[str, Maps]:
    """Explain the predictions of every output of a model; parameters as for :func:`explain`.

    What masks the record is computed once: on the logit of a local network each further target of
    TimeSHAP costs a matrix product.

    Returns
    -------
    What :func:`explain` gives, by SNOMED-CT code.
    """
    from ecgxai_core.explainers import askable
    from ecgxai_core.pipeline.explain import all_targets
    from ecgxai_core.progress import part_of

    chosen = askable(_profile(profile, params), model)
    names = (methods,) if isinstance(methods, str) else tuple(methods or chosen.methods)
    targets = all_targets(model, [chosen.for_method(name) for name in names])
    found: dict[str, Maps] = {}
    with _shown("explain", progress) as report:
        for number, target in enumerate(targets):
            found[target] = explain(
                record, model, target, names, profile=chosen, start_sec=start_sec, store=store,
                progress=part_of(report, number, len(targets), target),
            )  # fmt: skip
    return found


class Maps(dict[str, Attribution]):
    """Attributions of one case by method; a dictionary that shows itself."""

    def to_frame(self) -> pd.DataFrame:
        """One row per method and cell."""
        import pandas as pd

        return pd.concat(
            [item.to_frame().assign(method=name) for name, item in self.items()], ignore_index=True
        )

    def _repr_html_(self) -> str:
        return "".join(item._repr_html_() for item in self.values())


def fuse(
    maps: Mapping[str, Attribution] | Sequence[Attribution],
    *,
    profile: str | Profile = "default",
    **params: Any,
) -> FusedMap:
    """Combine several attributions of one case into one map.

    Parameters
    ----------
    maps
        What :func:`explain` gave, or attributions.
    profile
        As for :func:`explain`; profile ``reference`` fuses as published.
    params
        Fields of :class:`~ecgxai_core.params.FusionParams` (``agg``, ``beta``, ...).

    Raises
    ------
    ParameterError
        No map, maps of different cases, or a parameter out of its bounds.
    """
    from ecgxai_core.pipeline.explain import fused_map

    items = list(maps.values()) if isinstance(maps, Mapping) else list(maps)
    if not items:
        raise ParameterError("fuse", "maps", "there are none", "explain with a method first")
    chosen = _profile(profile, {})
    chosen = chosen.updated(fusion=chosen.fusion.updated(**params))
    return fused_map({item.method: item for item in items}, chosen)


def evaluate(
    maps: Map | Mapping[str, Map],
    record: Record,
    model: Classifier,
    *,
    profile: str | Profile = "default",
    target: str | None = None,
    truth: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Scores of maps by every metric that needs no further explanation.

    Parameters
    ----------
    maps
        One map, or several of the same case by name.
    record, model
        What they explain.
    profile
        Its evaluation parameters count; baseline, contrast and leads are those of the first map.
    target
        Target of maps from elsewhere, where :func:`foreign_map` was given none.
    truth
        Where evidence is known to lie: lead -> ``[n, 2]`` seconds.

    Returns
    -------
    Scores beside chance, an empty map, maps of the signal's energy, the map itself in other leads
    and at another time, and the best reachable.

    Raises
    ------
    ParameterError
        A map is of another record or model, or preliminary.
    """
    from ecgxai_core.metrics import evaluate as evaluated
    from ecgxai_core.pipeline.evaluation import subject_of

    given = dict(maps) if isinstance(maps, Mapping) else {maps.method: maps}
    if not given:
        raise ParameterError("evaluate", "maps", "there are none", "give at least one map")
    given = {name: _bound(item, record, model, target) for name, item in given.items()}
    first = next(iter(given.values()))
    for item in given.values():
        _check_same(item, first, record, model)
    chosen = _profile(profile, {})
    chosen = chosen.updated(explain=chosen.explain.updated(**_game_params(first)))
    case = Case(record, model, first.target, float(first.edges_sec[0]))
    with _shown("evaluate", progress) as report:
        report(0, 1, first.record)
        done = evaluated(subject_of(case, given, chosen, truth=truth))
        report(1, 1, "")
    return EvaluationResult(done, tuple(given))


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Scores of one or several maps, with curves; ``maps`` are their names."""

    evaluation: Evaluation
    maps: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per map and metric.

        Returns
        -------
        ``map``, ``metric``, ``title``, ``category``, ``direction``, ``value``, ``chance`` (a
        random map's expectation), ``empty`` (the all-zero map), ``amplitude`` and ``energy`` (maps
        of the signal's magnitude and of its squared slope), ``lead_shuffled`` and
        ``time_shifted`` (the map itself in other leads, and half a beat later), ``template`` (an
        R-peak template), ``reachable`` (the best on this grid). NaN = undefined, or the metric has
        no such number.
        """
        import pandas as pd

        from ecgxai_core.metrics import BESIDE, METRICS

        rows = [
            (
                name, metric, METRICS[metric].title, METRICS[metric].category,
                METRICS[metric].direction, score.value, score.random, score.empty,
                *(score.beside.get(side, math.nan) for side in BESIDE), score.ceiling,
            )
            for name in self.maps
            for metric, score in self.evaluation.scores[name].items()
        ]  # fmt: skip
        columns = ["map", "metric", "title", "category", "direction", "value", "chance", "empty"]
        return pd.DataFrame(rows, columns=[*columns, *BESIDE, "reachable"])

    def _repr_html_(self) -> str:
        """The table, rounded; without the columns that name the metric for programs."""
        frame = self.to_frame().drop(columns=["metric"])
        return str(frame.round(3).to_html(index=False, na_rep="", escape=True))


def extra_beat_test(
    record: Record,
    model: Classifier,
    target: str,
    methods: str | Sequence[str] | None = None,
    *,
    profile: str | Profile = "default",
    start_sec: float | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    **params: Any,
) -> ExtraBeatTest:
    """Explain a record, and again with one beat doubled; parameters as for :func:`explain`.

    Returns
    -------
    Both sets of maps; ``scores(params)`` and ``to_frame()`` say how alike they are.

    Raises
    ------
    ExplanationError
        Too few beats.
    """
    from ecgxai_core.explainers import askable
    from ecgxai_core.pipeline.explain import explained
    from ecgxai_core.pipeline.extra_beat import extra_beat_test as tested

    chosen = askable(_profile(profile, params), model)
    names = (methods,) if isinstance(methods, str) else tuple(methods or chosen.methods)
    case, kept = Case(record, model, target, start_sec), store or _store()
    with _shown("extra-beat test", progress) as report:
        found = explained(case, chosen, kept, names, report)
        return tested(case, found, chosen, kept, progress=report)


def plot(record: Record, item: Map | None = None, **style: Any) -> go.Figure:
    """A record on ECG paper, with a map over it.

    Parameters
    ----------
    record, item
        The ECG, and a map of it.
    style
        Fields of :class:`ecgxai_core.plots.paper.PaperStyle`, such as ``layout="3x4"``.

    Raises
    ------
    ParameterError
        The map is of another record.
    """
    from ecgxai_core.plots.paper import PaperStyle, ecg_figure
    from ecgxai_core.plots.words import check_record

    if item is not None:
        check_record(item, record)
    return ecg_figure(record, PaperStyle(**style), overlay=item)


def _profile(name: str | Profile, changes: Mapping[str, Any]) -> Profile:
    """A profile with some explanation parameters changed, for all methods."""
    chosen = named_profile(name) if isinstance(name, str) else name
    groups = ("explain", "lime", "timeshap") if changes else ()
    return chosen.updated(**{name: getattr(chosen, name).updated(**changes) for name in groups})


def _game_params(item: Map) -> dict[str, Any]:
    """Parameters of the game that a map explains; of the first method of a fused map."""
    params = item.provenance.params
    parts = params.get("methods")
    own = parts[0]["params"] if isinstance(parts, Sequence) and parts else params
    kept = ("baseline", "contrast", "lead_group")
    return {name: own[name] for name in kept if name in own and name in ExplainParams.model_fields}


def _bound(item: Map, record: Record, model: Classifier, target: str | None) -> Map:
    """A map from elsewhere that does not say what it explains, as one of this case."""
    if item.provenance.record_digest or not isinstance(item, Attribution):
        return item
    from ecgxai_core.foreign_maps import bind

    if not (target or item.target):
        raise ParameterError("evaluate", "target", "is not known", "give target=")
    return bind(item, Case(record, model, target or item.target))


def _check_same(item: Map, first: Map, record: Record, model: Classifier) -> None:
    if item.target != first.target:
        raise ParameterError(
            "evaluate", "maps", f"are of {first.target} and {item.target}", "give maps of one case"
        )
    if is_preview(item):
        problem = "is preliminary: its score would change with the map"
        raise ParameterError("evaluate", item.method, problem, "give the map that explain returns")
    if item.provenance.record_digest != record.digest:
        problem = f"is no map of record {record.name} as it is here"
        raise ParameterError("evaluate", item.method, problem, "give the record that was explained")
    if item.provenance.model_digest != model.digest:
        raise ParameterError(
            "evaluate", item.method, "is a map of another model", "give the model it explains"
        )


@lru_cache(maxsize=1)
def _store() -> Store:
    """The cache of this machine, opened when first needed and closed with the program."""
    from ecgxai_core.settings import settings

    chosen = settings()
    store = Store(chosen.cache_dir, int(chosen.cache_limit_gb * 1e9))
    atexit.register(store.close)
    return store


@contextmanager
def _shown(title: str, progress: Progress | None) -> Iterator[Progress]:
    """The caller's progress, else a bar on a terminal or in a notebook."""
    from ecgxai_core.progress import no_progress

    if progress is not None:
        yield progress
    elif "ipykernel" in sys.modules or sys.stderr.isatty():
        from ecgxai_core.progress import progress_bar

        with progress_bar(title) as report:
            yield report
    else:
        yield no_progress
