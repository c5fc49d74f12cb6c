"""Signing in through a provider, in a real browser: who comes in, who may change the server, and
what the audit log says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.conftest import LONG, settled
from tests.browser.provider import CLIENT, provider
from tests.browser.serving import serving

pytest.importorskip("authlib", reason="the extra 'auth' is not installed")

READER = {"sub": "1", "email": "reader@ward.example", "email_verified": True}
BOSS = {"sub": "2", "email": "Boss@clinic.example", "email_verified": True}
STRANGER = {"sub": "3", "email": "boss@clinic.example", "email_verified": False}


@pytest.fixture
def ward(tiny, tmp_path):
    """A provider, the address of a server that trusts it, and the server's audit log."""
    secrets, audit = tmp_path / "secrets.toml", tmp_path / "audit.jsonl"
    environment = {
        "ECGXAI_DATA": str(tiny / "tiny-set"),
        "ECGXAI_MODELS": str(tiny / "models"),
        "ECGXAI_RUNS": "",
        "ECGXAI_CACHE_DIR": str(tmp_path / "cache"),
        "ECGXAI_WARM": "0",
        "ECGXAI_READERS": "@ward.example",
        "ECGXAI_OPERATORS": "boss@clinic.example",
        "ECGXAI_AUDIT_FILE": str(audit),
        "STREAMLIT_SECRETS_FILES": str(secrets),
    }
    with provider() as made, serving(environment, tmp_path / "server.log") as address:
        secrets.write_text(
            "[auth]\n"
            f'redirect_uri = "{address}/oauth2callback"\n'
            'cookie_secret = "a secret of forty characters for a test"\n'
            f'client_id = "{CLIENT}"\n'
            'client_secret = "client-secret"\n'
            f'server_metadata_url = "{made.address}/.well-known/openid-configuration"\n',
            "utf-8",
        )
        yield made, address, audit


def sign_in(tab, address: str) -> None:
    tab.goto(address)
    tab.get_by_role("button", name="Sign in").click()


def lines(audit: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in audit.read_text().splitlines()] if audit.exists() else []


def test_readers_come_in_and_what_they_open_is_noted(ward, browser):
    made, address, audit = ward
    context = browser.new_context()
    tab = context.new_page()
    tab.set_default_timeout(LONG)

    # nobody is signed in: no page, whatever the address
    tab.goto(f"{address}/explain?record=T000")
    tab.get_by_role("button", name="Sign in").wait_for()
    settled(tab)
    assert "T000" not in tab.inner_text("[data-testid=stApp]")
    assert lines(audit) == []

    # signed in, but not on a list: an address that its provider has not checked is nobody's
    made.person = STRANGER
    sign_in(tab, address)
    tab.get_by_text("is not among the readers of this server").wait_for()
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("button", name="Sign in").wait_for()

    # a reader
    made.person = READER
    sign_in(tab, address)
    tab.get_by_text("reader@ward.example").first.wait_for(state="attached")
    tab.goto(f"{address}/explain?record=T000")
    tab.get_by_text("T000").first.wait_for()
    for _ in range(LONG // 250):
        if lines(audit):
            break
        tab.wait_for_timeout(250)
    (line,) = lines(audit)
    assert (line["event"], line["user"], line["record"]) == (
        "record opened", READER["email"], "T000",
    )  # fmt: skip
    assert len(line["digest"]) == 64
    tab.goto(f"{address}/settings")
    tab.get_by_text("Only the operator of this server sets folders").first.wait_for()
    context.close()

    # an operator, in a browser of their own
    made.person = BOSS
    context = browser.new_context()
    tab = context.new_page()
    tab.set_default_timeout(LONG)
    sign_in(tab, address)
    tab.get_by_text(f"{BOSS['email']}, operator").first.wait_for(state="attached")
    tab.goto(f"{address}/settings")
    tab.get_by_text("One folder per line").first.wait_for()
    context.close()
