"""Who may use pages that are served to this machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from farback.system.page_access import Access, new_token

TOKEN = "t0ken_of-its-own"
OWN = {"host": "127.0.0.1:5000"}
ACCESS = Access(5000, TOKEN)
COOKIE = {**OWN, "cookie": f"other=1; farback-5000={TOKEN}"}


def status(
    headers: dict[str, str], method: str = "GET", path: str = "/", query: str = "", access: Access = ACCESS
) -> int:
    """The status of the answer in place of the page; 200 where the request passes."""
    answer = access.answer(method, "/", query, headers)
    return 200 if answer is None else int(answer.status[:3])


def test_tokens_differ_and_cannot_be_guessed() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_the_printed_link_gives_a_cookie_and_leads_to_the_page_without_the_token() -> None:
    link = ACCESS.link("/", "/experiments/1/runs?x=1")
    assert link == f"http://127.0.0.1:5000/?token={TOKEN}#/experiments/1/runs?x=1"
    answer = ACCESS.answer("GET", "/dashboard", f"token={TOKEN}&page=2", OWN)
    assert answer is not None
    headers = dict(answer.headers)
    assert (answer.status, headers["Location"]) == ("303 See Other", "/dashboard?page=2")
    assert headers["Set-Cookie"] == f"farback-5000={TOKEN}; Path=/; HttpOnly; SameSite=Lax"
    assert status({**OWN, "cookie": headers["Set-Cookie"].partition(";")[0]}) == 200


@pytest.mark.parametrize("path", ["//attacker.example/x", "/\r\nSet-Cookie: x=1", "https://attacker.example"])
def test_the_link_leads_to_this_server_only(path: str) -> None:
    answer = ACCESS.answer("GET", path, f"token={TOKEN}", OWN)
    assert answer is not None
    location = dict(answer.headers)["Location"]
    assert location[0] == "/" != location[1]
    assert "\n" not in location


@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        {**OWN, "authorization": "Bearer guess"},
        {**OWN, "authorization": f"Basic {TOKEN}"},
        {**OWN, "cookie": f"farback-5001={TOKEN}"},
        {**OWN, "cookie": "farback-5000="},
        {**OWN, "cookie": "\x00;=;"},
    ],
)
def test_without_the_token_nothing_is_answered(headers: dict[str, str]) -> None:
    assert status(headers) == status(headers, "POST") == 403
    assert status(headers, query="token=") == status(headers, query="token=guess") == 403
    assert status(headers, "POST", query=f"token={TOKEN}") == 403


@pytest.mark.parametrize("headers", [COOKIE, {**OWN, "authorization": f"Bearer {TOKEN}"}])
@pytest.mark.parametrize(
    "foreign",
    [
        {"host": "attacker.example"},
        {"host": "127.0.0.1:5001"},
        {"host": ""},
        {"origin": "http://attacker.example"},
        {"origin": "http://127.0.0.1:5001"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # a page of another port of this machine
        {"sec-fetch-site": "same-site", "sec-fetch-dest": "iframe"},
    ],
)
def test_requests_of_other_sites_are_refused_also_with_the_token(
    headers: dict[str, str], foreign: dict[str, str]
) -> None:
    assert status(headers) == status(headers, "POST") == 200
    assert status(headers | foreign) == status(headers | foreign, "POST") == 403
    assert status(headers | foreign, access=Access(5000)) == 403


def test_a_link_on_another_page_may_be_opened_but_not_posted() -> None:
    opened = {**COOKIE, "sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    assert status(opened) == 200
    assert status(opened, "POST") == 403


def test_without_a_token_every_user_of_the_machine_has_access() -> None:
    assert status(OWN, access=Access(5000)) == status({"host": "localhost:5000"}, access=Access(5000)) == 200
    assert Access(5000).link("/x") == "http://127.0.0.1:5000/x"


def test_both_kinds_of_apps_are_guarded() -> None:
    passed: list[str] = []

    def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        passed.append("wsgi")
        return [b"page"]

    async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
        passed.append(scope["type"])

    sent: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("status") or message["type"])

    def over_wsgi(**headers: str) -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "127.0.0.1:5000", **headers}
        list(ACCESS.wsgi(wsgi)(environ, lambda status, headers: sent.append(int(status[:3]))))

    def over_asgi(kind: str, *headers: tuple[bytes, bytes]) -> None:
        scope = {
            "type": kind,
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:5000"), *headers],
        }
        asyncio.run(ACCESS.asgi(asgi)(scope, None, send))

    over_wsgi()
    over_asgi("http")
    over_asgi("websocket")
    assert passed == []
    assert sent == [403, 403, "http.response.body", "websocket.close"]
    over_wsgi(HTTP_COOKIE=COOKIE["cookie"])
    over_asgi("http", (b"Authorization", f"Bearer {TOKEN}".encode()))
    over_asgi("lifespan")
    assert passed == ["wsgi", "http", "lifespan"]
