"""A frozen study: one folder with its protocol, orders, signals and maps, none of which changes.

``study.json`` holds the protocol, the cases and every showing with a digest over all of it,
``cases/`` the signals and the maps of every arm, ``codes.csv`` the access code of each rater, and
``answers.sqlite`` what they answered. Nothing else is needed to run it: no model, no cache.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import os
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ecgxai_core.case import Case
from ecgxai_core.diagnoses import code_of, find_diagnosis, term_of
from ecgxai_core.explainers import askable, params_for
from ecgxai_core.metrics.references import REFERENCES, SIGNAL_REFERENCES
from ecgxai_core.models.loading import LazyClassifier
from ecgxai_core.models.protocol import Classifier
from ecgxai_core.params import Profile, checked, profile
from ecgxai_core.pipeline.evaluation import beats_of
from ecgxai_core.pipeline.explain import explain_case, fused_map
from ecgxai_core.progress import Progress, no_progress
from ecgxai_core.records.read import find_records, read_record
from ecgxai_core.settings import shipped_models
from ecgxai_core.store.atomic import (
    read_arrays,
    write_arrays_atomic,
    write_bytes_atomic,
    write_json_atomic,
)
from ecgxai_core.store.cache import Store
from ecgxai_core.study.protocol import (
    CONTROLS,
    FUSED,
    NO_MAP,
    NONE,
    AskedCase,
    Protocol,
    StudyError,
    asked_cases,
    read_protocol,
)
from ecgxai_core.study.schedule import Showing, schedule
from ecgxai_core.types import (
    Attribution,
    FloatArray,
    Map,
    Provenance,
    Record,
    canonical_json,
)
from ecgxai_core.version import code_version

__all__ = ["Exhibit", "Study", "StudyCase", "freeze", "open_study", "studies"]

SCHEMA = "ecgxai-study/1"
_FILE, _CODES = "study.json", "codes.csv"


@dataclass(frozen=True, slots=True)
class StudyCase:
    """A record, what the model says of it, and the true diagnosis (``None`` = not known).

    ``target`` and ``reference`` are among the study's diagnoses; ``digest`` is the record's.
    """

    record: str
    digest: str
    synthetic: bool
    target: str
    reference: str | None
    probability: float
    threshold: float

    @property
    def called(self) -> bool:
        """Whether the model calls the target."""
        return self.probability >= self.threshold

    @property
    def model_right(self) -> bool | None:
        """Whether calling, or not calling, the target is right; ``None`` = not known."""
        if self.reference is None:
            return None
        return self.called == (self.reference == self.target)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What can be shown of a case: the record under an opaque name, and a map for each arm.

    ``r_peaks_sec`` and ``heart_rate`` place the evidence that the table of diagnoses expects.
    """

    record: Record
    maps: Mapping[str, Attribution]
    r_peaks_sec: FloatArray
    heart_rate: float


@dataclass(frozen=True)
class Study:
    """A frozen study.

    Attributes
    ----------
    folder
        Where it lies.
    digest
        SHA-256 of everything in ``study.json``.
    protocol, cases, showings
        What is shown to whom.
    diagnoses
        What a rater can choose: code -> name; ``none`` comes last.
    model, software
        Name and digest of the model; version of the program that froze the study.
    """

    folder: Path
    digest: str
    protocol: Protocol
    cases: tuple[StudyCase, ...]
    showings: tuple[Showing, ...]
    diagnoses: Mapping[str, str]
    model: Mapping[str, str]
    software: str

    def of(self, rater: str) -> tuple[Showing, ...]:
        """The showings of one rater, in order."""
        return tuple(one for one in self.showings if one.rater == rater)

    @cached_property
    def codes(self) -> Mapping[str, str]:
        """Access code of each rater.

        Raises
        ------
        StudyError
            The file is missing.
        """
        path = self.folder / _CODES
        try:
            rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))
            return {row["rater"]: row["code"] for row in rows}
        except (OSError, ValueError, KeyError) as error:
            raise StudyError(_CODES, "", error, "put the file back") from None

    def rater_of(self, code: str) -> str | None:
        """The rater whose access code this is."""
        given = code.strip().encode()
        found = [who for who, own in self.codes.items() if hmac.compare_digest(own.encode(), given)]
        return found[0] if found else None

    def exhibit(self, number: int, name: str = "") -> Exhibit:
        """Record and maps of case ``number``; the record is called ``name``.

        Raises
        ------
        RunError
            The file is missing or was changed.
        """
        entry = read_arrays(_case_path(self.folder, number))
        meta, arrays = entry.meta, entry.arrays
        leads = tuple(meta["leads"])
        record = Record(name or f"case {number + 1}", arrays["signal"], meta["fs"], leads)
        maps = {
            arm: Attribution(
                record.name, "", "map", float("nan"), tuple(facts["leads"]),
                arrays[f"{arm}.edges"], arrays[f"{arm}.weights"],
                arrays[f"{arm}.explored"].astype(bool), Provenance("", "", {}, 0, ""),
                diagnostics={"lead_group": "independent"} if facts["independent"] else {},
            )
            for arm, facts in meta["maps"].items()
        }  # fmt: skip
        return Exhibit(record, maps, arrays["r_peaks_sec"], float(meta["heart_rate"]))


def freeze(path: Path, out: Path, store: Store, progress: Progress = no_progress) -> Study:
    """Check a protocol, explain every case for every arm, and write the study.

    Parameters
    ----------
    path
        The protocol.
    out
        Folder to write; it must not exist.
    store
        Cache of explanations.
    progress
        Called for each case.

    Raises
    ------
    StudyError
        The folder is there already, or the protocol cannot be carried out.
    EcgXaiError
        A record, the model or a target is refused.
    """
    if out.exists():
        raise StudyError(out.name, "", "is there already", "choose another folder for --out")
    protocol, base = read_protocol(path), path.parent
    asked = asked_cases(protocol, base)
    classifier = LazyClassifier(_model_path(protocol, base))
    found = find_records([base / protocol.data])
    files = {file.stem: file for file in found}
    times = Counter(file.stem for file in found)
    for one in asked:
        if one.record not in files:
            problem = "is not in the folder of records"
            raise StudyError(path.name, one.record, problem, "correct the record or 'data'")
        if times[one.record] > 1:
            problem = "is the name of several records in 'data'"
            fix = "rename them, or give the folder of one as 'data'"
            raise StudyError(path.name, one.record, problem, fix)
    cases, exhibits = [], []
    for done, one in enumerate(asked):
        progress(done, len(asked), one.record)
        case = Case(read_record(files[one.record]), classifier, one.target)
        maps = _maps(case, protocol, store)
        exhibits.append((case.record, maps))
        cases.append(_study_case(case, one))
    showings = schedule(protocol, [(case.target, case.reference) for case in cases])
    content = {
        "schema": SCHEMA,
        "software": code_version(),
        "model": {"name": classifier.path.stem, "digest": classifier.digest},
        "protocol": protocol.as_key(),
        "diagnoses": list(map(list, _diagnoses(protocol, cases).items())),
        "cases": [asdict(case) for case in cases],
        "showings": [asdict(showing) for showing in showings],
    }
    for number, (record, maps) in enumerate(exhibits):
        _write_case(_case_path(out, number), record, maps)
    _write_codes(out / _CODES, protocol)
    write_json_atomic(out / _FILE, {**content, "digest": _digest(content)})
    progress(len(asked), len(asked), "")
    return open_study(out)


def open_study(folder: Path) -> Study:
    """Open a frozen study.

    Raises
    ------
    StudyError
        There is none, or its file was changed since.
    """
    path = folder / _FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        digest = content.pop("digest")
        _check(content, digest)
        return Study(
            folder, digest, checked(Protocol, content["protocol"]),
            tuple(StudyCase(**case) for case in content["cases"]),
            tuple(Showing(**showing) for showing in content["showings"]),
            dict(content["diagnoses"]), content["model"], content["software"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        fix = "give the folder of a study that 'ecgxai study new' wrote"
        raise StudyError(f"{folder.name}/{_FILE}", "", problem, fix) from None


def _check(content: Mapping[str, Any], digest: str) -> None:
    if content.get("schema") != SCHEMA:
        raise ValueError(f"is not of the kind {SCHEMA}")
    if _digest(content) != digest:
        raise ValueError("was changed after the study was frozen")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def studies(folder: Path) -> dict[str, Path]:
    """Folders of frozen studies by name."""
    found = sorted(folder.glob(f"*/{_FILE}")) if folder.is_dir() else []
    return {path.parent.name: path.parent for path in found}


def _model_path(protocol: Protocol, base: Path) -> Path:
    known = shipped_models()
    return known[protocol.model] if protocol.model in known else base / protocol.model


def _profile(protocol: Protocol, classifier: Classifier) -> Profile:
    chosen = askable(profile(protocol.profile), classifier)
    return chosen.updated(methods=protocol.methods) if protocol.methods else chosen


def _study_case(case: Case, asked: AskedCase) -> StudyCase:
    """What is known of a case. The probability is that of the whole record."""
    row = case.classifier.predict(case.model_input().values[None])[0]
    at = case.classifier.classes.index(case.target)
    limits = case.classifier.manifest.thresholds or {}
    reference = asked.reference
    if reference is not None and reference != NONE:
        reference = code_of(reference)
        row_of = find_diagnosis(reference)
        same = row_of is not None and row_of is find_diagnosis(case.target)
        reference = case.target if same else reference
    return StudyCase(
        record=case.record.name,
        digest=case.record.digest,
        synthetic=case.record.synthetic,
        target=case.target,
        reference=reference,
        probability=round(float(row[at]), 6),
        threshold=float(limits.get(case.target, 0.5)),
    )


def _diagnoses(protocol: Protocol, cases: list[StudyCase]) -> dict[str, str]:
    """What can be chosen: targets, references and what the protocol adds, by name; none last."""
    codes = {case.target for case in cases} | {code_of(name) for name in protocol.diagnoses}
    codes |= {case.reference for case in cases if case.reference not in (None, NONE)}
    names = {code: term_of(code).name for code in codes}
    ordered = sorted(names.items(), key=lambda item: item[1].lower())
    return {**dict(ordered), NONE: "none of these"}


def _maps(case: Case, protocol: Protocol, store: Store) -> dict[str, Map]:
    """The map of every arm that shows one."""
    chosen, found = _profile(protocol, case.classifier), dict[str, Map]()
    single = [arm for arm in protocol.arms if arm not in (NO_MAP, FUSED, *CONTROLS)]
    with_fused = any(arm == FUSED or arm in CONTROLS for arm in protocol.arms)
    methods = tuple(dict.fromkeys((*single, *(chosen.methods if with_fused else ()))))
    made = explain_case(case, params_for(chosen, methods), store)
    fused = fused_map({m: made[m] for m in chosen.methods}, chosen) if with_fused else None
    for arm in protocol.arms:
        if arm in single:
            found[arm] = made[arm]
        elif arm == FUSED and fused is not None:
            found[arm] = fused
        elif arm in SIGNAL_REFERENCES and fused is not None:
            found[arm] = SIGNAL_REFERENCES[arm](fused, case.record)
        elif arm in CONTROLS and fused is not None:
            found[arm] = REFERENCES[arm](fused, protocol.seed)
    return found


def _case_path(folder: Path, number: int) -> Path:
    return folder / "cases" / f"{number:04d}.safetensors"


def _write_case(path: Path, record: Record, maps: Mapping[str, Map]) -> None:
    beats = beats_of(record)
    arrays: dict[str, Any] = {"signal": record.signal, "r_peaks_sec": beats.seconds}
    facts = {}
    for arm, item in maps.items():
        arrays[f"{arm}.edges"] = np.asarray(item.edges_sec, np.float64)
        arrays[f"{arm}.weights"] = np.asarray(item.weights, np.float32)
        arrays[f"{arm}.explored"] = np.asarray(item.explored, np.uint8)
        facts[arm] = {"leads": list(item.leads), "independent": item.independent}
    meta = {
        "fs": float(record.fs), "leads": list(record.leads), "maps": facts,
        "heart_rate": float(np.nan_to_num(beats.rate)),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays_atomic(path, arrays, meta)


def _write_codes(path: Path, protocol: Protocol) -> None:
    """One random code for each rater; only the operator's account can read the file."""
    lines = ["rater,code", *(f"{name},{secrets.token_hex(6)}" for name in protocol.raters)]
    write_bytes_atomic(path, "\n".join([*lines, ""]).encode())
    os.chmod(path, 0o600)
