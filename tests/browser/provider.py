"""A provider of OpenID Connect on loopback that signs in whom a test names, without asking."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT = "ecgxai-test"


class Provider:
    """Issues signed identities of ``person`` (claims) by the authorization code flow."""

    def __init__(self, address: str) -> None:
        from joserfc.jwk import RSAKey

        self.address = address
        self.person: Mapping[str, Any] = {}
        self._key = RSAKey.generate_key(2048, {"kid": "test"})
        self._asked: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def keys(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def authorize(self, asked: Mapping[str, list[str]]) -> str:
        """Where the browser is sent: back, with a code that is good once."""
        code = secrets.token_urlsafe(16)
        self._asked[code] = (asked.get("nonce", [""])[0], dict(self.person))
        back = {"code": code, "state": asked["state"][0]}
        return f"{asked['redirect_uri'][0]}?{urlencode(back)}"

    def token(self, asked: Mapping[str, list[str]]) -> dict[str, Any]:
        from joserfc import jwt

        nonce, person = self._asked.pop(asked["code"][0])
        now = int(time.time())
        claims = {
            "iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": nonce,
            **person,
        }  # fmt: skip
        identity = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        return {
            "access_token": secrets.token_urlsafe(8), "token_type": "Bearer", "expires_in": 3600,
            "id_token": identity,
        }  # fmt: skip


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/authorize":
                self.send_response(302)
                self.send_header("Location", made.authorize(parse_qs(url.query)))
                self.end_headers()
            elif url.path == "/keys":
                self._answer(made.keys())
            else:
                self._answer(made.metadata())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(made.token(parse_qs(body)))

        def _answer(self, value: Mapping[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
