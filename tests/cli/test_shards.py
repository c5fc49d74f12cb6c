"""Work split over machines: merged shards are the bytes of one run; wrong sets are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ecgxai_core.pipeline import predict_many, prediction_parts
from ecgxai_core.pipeline.shards import Shard
from ecgxai_core.records.read import read_record
from tests.small import write_data

FAST = (
    "--method", "occlusion", "--set", "occlusion_level=lead", "--set", "deletion_steps=4",
)  # fmt: skip
N = 3


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of two files, so that a handful of records fills several."""
    for module in (prediction_parts, predict_many):
        monkeypatch.setattr(module, "CHUNK", 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Seven records, one of them twice and one that cannot be read."""
    folder = write_data(tmp_path_factory.mktemp("shards") / "data", 7)
    for suffix in (".hea", ".mat"):
        text = (folder / f"T001{suffix}").read_bytes().replace(b"T001", b"T100")
        (folder / f"T100{suffix}").write_bytes(text)
    (folder / "T006.mat").write_bytes(b"no matrix")
    return folder


def tables_and_arrays(folder: Path) -> dict[str, bytes]:
    """Every table and array of a run directory."""
    kinds = {".csv", ".parquet", ".safetensors"}
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in kinds
    }


def predict(cli, data, model, out, *more):
    return cli("predict", data, "--model", model, "--out", out, *more)


@pytest.fixture
def prediction_shards(cli, data, tiny_model, tmp_path) -> list[Path]:
    folders = [tmp_path / f"part{i}" for i in range(1, N + 1)]
    for i, folder in enumerate(folders, start=1):
        code, _, err = predict(cli, data, tiny_model, folder, "--shard", f"{i}/{N}")
        assert code in (0, 3), err
    return folders


def test_every_record_belongs_to_one_shard(data):
    files = [file for file in sorted(data.glob("*.hea")) if file.stem != "T006"]
    digests = {read_record(file).digest for file in files}
    for count in (1, 2, 3, 50):
        shards = [Shard(number, count) for number in range(1, count + 1)]
        for digest in digests:
            assert sum(shard.holds(digest) for shard in shards) == 1
        assert sum(shard.holds_name("T006") for shard in shards) == 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/99999", "1/3/3", ""])
def test_what_is_no_shard_is_refused(cli, data, tiny_model, tmp_path, text):
    code, _, err = predict(cli, data, tiny_model, tmp_path / "p", f"--shard={text}")
    assert code == 2
    assert "--shard" in err
    assert not (tmp_path / "p").exists()


def test_merged_predictions_are_those_of_one_command(
    cli, data, tiny_model, tmp_path, prediction_shards
):
    code, _, err = predict(cli, data, tiny_model, tmp_path / "plain.csv")
    assert code == 3
    assert "T006" in err
    code, said, err = cli("merge", tmp_path / "merged.csv", *reversed(prediction_shards))
    assert code == 3, "the record that could not be read is named again, once"
    assert err.count("T006.mat") == 1
    assert "7 records" in said
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_wrong_sets_of_predictions_are_named(cli, data, tiny_model, tmp_path, prediction_shards):
    one, two, three = prediction_shards
    out = tmp_path / "m.csv"

    def refused(*folders: Path) -> str:
        code, _, err = cli("merge", out, *folders)
        assert code == 2
        assert err.count("\n") == 1
        assert not out.exists()
        return err

    assert "shard 2/3 is missing" in refused(one, three)
    assert "shard 2/3 is there twice (part2 and part2)" in refused(one, two, two, three)
    other = write_data(tmp_path / "other", 7)
    foreign = tmp_path / "foreign"
    assert predict(cli, other, tiny_model, foreign, "--shard", "3/3")[0] == 0
    assert "foreign: request: is a shard of another job than part1 (files differ)" in refused(
        one, two, foreign
    )
    halves = tmp_path / "half"
    assert predict(cli, other, tiny_model, halves, "--shard", "2/2")[0] == 0
    assert "half: shard: is one of 2 shards, part1 of 3" in refused(one, two, halves)
    assert "holds no finished shard" in refused(one, two, data)
    victim = next(file for file in sorted(two.glob("*.safetensors")))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert f"part2: {victim.name}: is missing or damaged" in refused(one, two, three)


@pytest.fixture
def run_shards(cli, data, tiny_model, tmp_path):
    """A selection, a plain run of it, and its shards."""
    selection = tmp_path / "sel.csv"
    assert cli("select", "--data", data, "--model", tiny_model, "--out", selection)[0] == 3
    folders = [tmp_path / f"part{i}" for i in range(1, N + 1)]
    for i, out in [(0, tmp_path / "plain"), *enumerate(folders, start=1)]:
        shard = ("--shard", f"{i}/{N}") if i else ()
        code, _, err = cli(
            "run", "--data", data, "--model", tiny_model, "--out", out, *FAST,
            "--selection", selection, *shard,
        )  # fmt: skip
        assert (code, err) == (0, "")
    return tmp_path / "plain", folders, selection


def test_merged_shards_are_the_run_of_one_command(cli, data, tiny_model, tmp_path, run_shards):
    plain, folders, selection = run_shards
    explained = [len(list((folder / "attributions").iterdir())) for folder in folders]
    assert sum(explained) == 6
    assert sum(count > 0 for count in explained) > 1, "the work is split"
    code, said, err = cli("merge", tmp_path / "merged", *reversed(folders))
    assert (code, err) == (0, "")
    assert "3 shards merged, 6 explained, 0 failed" in said
    merged = tables_and_arrays(tmp_path / "merged")
    assert merged == tables_and_arrays(plain)
    assert len([name for name in merged if name.endswith(".csv")]) == 6
    manifests = [
        json.loads((f / "manifest.json").read_text()) for f in (plain, tmp_path / "merged")
    ]
    for manifest in manifests:
        manifest.pop("times")
    assert manifests[0] == manifests[1]
    assert (plain / "request.json").read_bytes() == (tmp_path / "merged/request.json").read_bytes()
    # what is merged carries on as the run of one command would
    code, said, _ = cli(
        "run", "--data", data, "--model", tiny_model, "--out", tmp_path / "merged", *FAST,
        "--selection", selection,
    )  # fmt: skip
    assert code == 0
    assert "(6 from an earlier run)" in said


def test_wrong_sets_of_runs_are_named(cli, data, tiny_model, tmp_path, run_shards):
    plain, (one, two, three), selection = run_shards
    out = tmp_path / "m"

    def refused(*folders: Path) -> str:
        shutil.rmtree(out, ignore_errors=True)
        code, _, err = cli("merge", out, *folders)
        assert code == 2
        assert err.count("\n") == 1
        assert not (out / "manifest.json").exists()
        return err

    assert "shard 1/3, 3/3 is missing" in refused(two)
    assert "shard 1/3 is there twice" in refused(one, one, two, three)
    assert "plain: shard.json: holds no finished shard" in refused(one, two, plain)
    foreign = tmp_path / "foreign"
    code, _, err = cli(
        "run", "--data", data, "--model", tiny_model, "--out", foreign, *FAST,
        "--selection", selection, "--shard", "3/3", "--seed", 4,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "foreign: request: is a shard of another job than part1 (profile differ)" in refused(
        one, two, foreign
    )
    victim = next(f for folder in (one, two, three) for f in (folder / "attributions").iterdir())
    kept = victim.read_bytes()
    victim.write_bytes(kept + b" ")
    assert f"{victim.name}: is damaged" in refused(one, two, three)
    victim.write_bytes(kept)
    part = next(f for folder in (one, two, three) for f in (folder / "predictions").iterdir())
    part.unlink()
    assert "predictions: is damaged" in refused(one, two, three)


def test_a_shard_directory_is_no_other_shard_and_no_run(cli, data, tiny_model, run_shards):
    _, (one, *_), selection = run_shards
    common = ("--data", data, "--model", tiny_model, "--out", one, *FAST, "--selection", selection)
    for more in ((), ("--shard", "2/3")):
        code, _, err = cli("run", *common, *more)
        assert code == 2
        assert "holds another run" in err
    code, _, err = cli("summary", one)
    assert code == 2
    assert "holds no finished run" in err


def test_a_shard_needs_records_that_are_chosen_before(cli, data, tiny_model, tmp_path):
    code, _, err = cli(
        "run", "--data", data, "--model", tiny_model, "--out", tmp_path / "run", *FAST,
        "--shard", "1/2",
    )  # fmt: skip
    assert code == 2
    assert "--selection" in err
    assert not (tmp_path / "run").exists()


def cohort(cli, data, model, out, *more):
    words = ["--target", "AF", "--method", "input_x_gradient", "--against-who", "predicted"]
    return cli("cohort", "--data", data, "--model", model, "--out", out, *words, *more)


@pytest.mark.parametrize("drawn", [(), ("--n", "2")])
def test_the_shards_of_a_cohort_are_the_bytes_of_one(cli, data, tiny_model, tmp_path, drawn):
    folders = [tmp_path / f"cohort{i}" for i in range(1, N + 1)]
    for form in ("csv", "html"):
        code, _, err = cohort(cli, data, tiny_model, tmp_path / f"whole.{form}", *drawn)
        assert code in (0, 3), err
    for i, folder in enumerate(folders, start=1):
        code, _, err = cohort(cli, data, tiny_model, folder, "--shard", f"{i}/{N}", *drawn)
        assert code in (0, 3), err
    assert "T006" in (tmp_path / "whole.html").read_text()
    for form in ("csv", "html"):
        code, _, err = cli("merge", tmp_path / f"joined.{form}", *reversed(folders))
        assert code in (0, 3), err
        joined, whole = tmp_path / f"joined.{form}", tmp_path / f"whole.{form}"
        assert joined.read_bytes() == whole.read_bytes()


def test_a_wrong_set_of_cohort_shards_is_named(cli, data, tiny_model, tmp_path):
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    for i, folder in ((1, one), (2, two)):
        assert cohort(cli, data, tiny_model, folder, "--shard", f"{i}/2")[0] in (0, 3)
    assert cohort(cli, data, tiny_model, other, "--shard", "2/2", "--n", "1")[0] in (0, 3)
    out = tmp_path / "joined.csv"
    for folders, said in (
        ((one,), "shard 2/2 is missing"),
        ((one, one), "is there twice"),
        ((one, other), "another job"),
        ((one, tmp_path / "none"), "holds no finished shard"),
    ):
        code, _, err = cli("merge", out, *folders)
        assert (code, said in err) == (2, True), err
    (two / "cohort.json").write_text("{")
    code, _, err = cli("merge", out, one, two)
    assert (code, "is damaged" in err) == (2, True), err
    assert not out.exists()
    (two / "mine.txt").write_text("kept")
    code, _, err = cohort(cli, data, tiny_model, two, "--shard", "2/2")
    assert (code, "mine.txt" in err) == (2, True), err
