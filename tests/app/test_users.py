"""Who may come in and what they may do; without sign-in, a warning where others can come."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from app.data import uploads
from app.shell import server_settings, users
from app.shell.server_settings import ServerSettings
from ecgxai_core.errors import RunError
from tests.app.conftest import open_page, texts

READER = {"iss": "https://idp", "sub": "7", "email": "a@ward.example", "email_verified": True}


@pytest.fixture
def signed_in(monkeypatch):
    """``signed_in(claims, readers=..., ...)``: somebody is signed in at a server with settings."""

    def use(claims, **given):
        chosen = ServerSettings(**given)
        for module in (users, server_settings):
            monkeypatch.setattr(module, "server_settings", lambda: chosen)
        monkeypatch.setattr(users, "sign_in_configured", lambda: True)
        user = SimpleNamespace(is_logged_in=bool(claims), to_dict=lambda: dict(claims))
        state: dict[str, object] = {}
        monkeypatch.setattr(users, "st", SimpleNamespace(user=user, session_state=state))
        return users.current()

    return use


@pytest.mark.parametrize(
    ("lists", "reader", "operator"),
    [
        ({}, False, False),
        ({"readers": "b@ward.example"}, False, False),
        ({"readers": "b@x, A@Ward.Example"}, True, False),
        ({"readers": "@ward.example"}, True, False),
        ({"readers": "@example"}, False, False),
        ({"readers": "@evil-ward.example"}, False, False),
        ({"readers": "*"}, True, False),
        ({"readers": "7"}, True, False),
        ({"operators": "a@ward.example"}, True, True),
    ],
)
def test_lists_say_who_may(signed_in, lists, reader, operator):
    user = signed_in(READER, **lists)
    assert (user.reader, user.operator) == (reader, operator)
    assert server_settings.is_operator() == operator


def test_an_unchecked_address_counts_for_nothing(signed_in):
    user = signed_in({**READER, "email_verified": False}, operators="a@ward.example", readers="*")
    assert (user.reader, user.operator) == (True, False)
    assert "@" not in user.name


def test_the_number_of_a_user_is_that_of_provider_and_subject(signed_in):
    one = signed_in(READER).id
    assert signed_in({**READER, "email": "new@ward.example"}).id == one
    assert signed_in({**READER, "iss": "https://other"}).id != one
    assert signed_in({**READER, "sub": "8"}).id != one


def test_nobody_is_nobody(signed_in):
    assert signed_in({}, operators="*") is None
    assert users.owner() == ""
    assert not server_settings.is_operator(), "also where ECGXAI_OPERATOR would say yes"


def test_every_opened_record_is_one_line(signed_in, tmp_path):
    file = tmp_path / "audit.jsonl"
    signed_in(READER, audit_file=file)
    for record in ("R1", "R1", 'R2\n"', "R1"):
        users.record_opened("data", record, "d" * 64)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["record"] for line in lines] == ["R1", 'R2\n"', "R1"]
    assert {line["user"] for line in lines} == {"a@ward.example"}
    assert file.stat().st_mode & 0o077 == 0


def test_without_a_file_the_line_goes_to_the_servers_output(signed_in, capsys):
    signed_in(READER)
    users.record_opened("data", "R1", "d" * 64)
    assert json.loads(capsys.readouterr().out)["record"] == "R1"


def test_a_record_that_cannot_be_noted_is_not_shown(signed_in, tmp_path):
    signed_in(READER, audit_file=tmp_path / "no folder" / "audit.jsonl")
    for _ in range(2):
        with pytest.raises(RunError, match="audit log: cannot be written"):
            users.record_opened("data", "R1", "d" * 64)


def test_own_records_are_those_of_the_user_who_added_them(monkeypatch):
    forgotten = []
    kept = SimpleNamespace(owner="one")
    monkeypatch.setattr(uploads, "st", SimpleNamespace(session_state={uploads._STATE: kept}))
    monkeypatch.setattr(uploads, "forget_own", lambda: forgotten.append(True))
    monkeypatch.setattr(uploads.users, "owner", lambda: "one")
    assert uploads.own_records() is kept
    monkeypatch.setattr(uploads.users, "owner", lambda: "two")
    assert uploads.own_records() is None
    assert forgotten


def test_a_server_that_anybody_reaches_says_so_on_every_page(folders, monkeypatch):
    folders()
    monkeypatch.setattr(users, "bound_to_this_machine", lambda: False)
    assert users.OPEN in texts(open_page("start", navigation=True))
    monkeypatch.setenv("ECGXAI_TRUSTED", "1")
    server_settings.server_settings.cache_clear()
    assert users.OPEN not in texts(open_page("start", navigation=True))


def test_a_server_of_this_machine_asks_and_says_nothing(folders):
    folders()
    app = open_page("start", navigation=True)
    assert users.OPEN not in texts(app)
    assert not [button for button in app.button if button.label == "Sign in"]
