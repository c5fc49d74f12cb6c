"""A printed command reproduces the parameters from which it was made."""

from __future__ import annotations

import shlex

import pytest

from ecgxai_core.params import profile, profile_with
from ecgxai_core.report.commands import changed_settings, record_command, run_command


@pytest.mark.parametrize("name", ["default", "reference"])
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["n_coalitions=64", "baseline=mean"],
        ["method_weights=0.7,0.3", "tau=0.05"],
        ["window_sec=0.2", "priors=True"],
    ],
)
def test_the_printed_settings_reproduce_the_profile(name, settings):
    chosen = profile_with(profile(name), settings, None)
    texts = [f"{field}={value}" for field, value in changed_settings(chosen.as_key()).items()]
    assert profile_with(profile(name), texts, None) == chosen


def test_an_unchanged_profile_prints_no_settings():
    for name in ("default", "reference"):
        assert changed_settings(profile(name).as_key()) == {}


def test_a_file_name_with_spaces_stays_one_argument():
    words = shlex.split(record_command("a; rm -rf ~.hea", "m.keras", "AF", profile("default")))
    assert words[2] == "a; rm -rf ~.hea"
    assert words[-2:] == ["--out", "report.html"]


def test_the_command_of_a_run_has_its_targets_and_seed():
    chosen = profile_with(profile("reference"), [], 7)
    request = {
        "data": "my data",
        "model": "m.keras",
        "mode": "eval",
        "targets": ["164889003"],
        "profile": chosen.as_key(),
        "selection": {"seed": 7},
        "checksum": "error",
    }
    words = shlex.split(run_command(request))
    assert words[words.index("--data") + 1] == "my data"
    assert words[words.index("--target") + 1] == "164889003"
    assert words.count("--seed") == 1
    assert words[words.index("--seed") + 1] == "7"
    assert "--checksum" in words
