"""Who may use pages that are served to this machine: other users of it, and other sites in a browser, may not.

The link that a command prints contains a token. Whoever opens it gets a cookie, and is sent on to the page without the
token, so that it does not stay in the address bar. Programs send the token as `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

HOST = "127.0.0.1"
TEXT = ("Content-Type", "text/plain; charset=utf-8")

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Answer:
    """An answer in place of a page."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


@dataclass(frozen=True)
class Access:
    """Checks requests to the server at a port of this machine; without a token, any user of the machine has access."""

    port: int
    token: str = ""

    def link(self, path: str, fragment: str = "") -> str:
        """The address to print for a page, with the token; `fragment` is the part after #."""
        query = f"?{urlencode({'token': self.token})}" if self.token else ""
        return f"http://{HOST}:{self.port}{path}{query}" + (f"#{fragment}" if fragment else "")

    @property
    def authorization(self) -> dict[str, str]:
        """The header with which a program signs in."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Answer | None:
        """What to answer in place of the page; None where the request may pass. Names of headers are in lower case.

        A site may map its own name to 127.0.0.1 (the Host header reveals this), or send requests through the user's
        browser (Origin and Sec-Fetch-Site reveal this, also for pages of other ports).
        """
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        is_opened = method == "GET" and headers.get("sec-fetch-dest") == "document"
        is_foreign = origin is not None and origin not in {f"http://{host}" for host in hosts}
        if headers.get("host") not in hosts or is_foreign or (site not in ("same-origin", "none") and not is_opened):
            return Answer("403 Forbidden", (TEXT,), b"this page is served to this machine only\n")
        if not self.token:
            return None
        values = parse_qsl(query, keep_blank_values=True)
        given = dict(values).get("token")
        if given is not None and self._is_token(given) and method == "GET":
            rest = urlencode([(name, value) for name, value in values if name != "token"])
            cookie = f"{self._cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"
            location = f"/{quote(path).lstrip('/')}?{rest}".rstrip("?")
            return Answer("303 See Other", (("Location", location), ("Set-Cookie", cookie)))
        sent = headers.get("authorization", "").removeprefix("Bearer "), _cookie(headers, self._cookie)
        if any(self._is_token(text) for text in sent):
            return None
        return Answer("403 Forbidden", (TEXT,), b"open the link that the command printed: it contains a token\n")

    @property
    def _cookie(self) -> str:
        return f"farback-{self.port}"  # browsers send a cookie to every port

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.token.encode())

    def wsgi(self, pages: App) -> App:
        """The WSGI app behind this check."""

        def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            sent = {name[5:].replace("_", "-").lower(): text for name, text in environ.items() if name[:5] == "HTTP_"}
            query = environ.get("QUERY_STRING", "")
            answer = self.answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], query, sent)
            if answer is None:
                return pages(environ, start_response)
            start_response(answer.status, list(answer.headers))
            return [answer.body]

        return checked

    def asgi(self, pages: Any) -> Any:
        """The ASGI app behind this check."""

        async def checked(scope: dict[str, Any], receive: Any, send: Any) -> None:
            answer = None
            if scope["type"] == "http":
                sent = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]}
                answer = self.answer(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), sent)
            elif scope["type"] != "lifespan":  # a websocket, which MLflow has none of
                await send({"type": "websocket.close"})
                return
            if answer is None:
                await pages(scope, receive, send)
                return
            named = [(name.lower().encode(), text.encode("latin-1")) for name, text in answer.headers]
            await send({"type": "http.response.start", "status": int(answer.status[:3]), "headers": named})
            await send({"type": "http.response.body", "body": answer.body})

        return checked


def _cookie(headers: Mapping[str, str], name: str) -> str:
    """The value of a cookie; "" where it is missing."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""
