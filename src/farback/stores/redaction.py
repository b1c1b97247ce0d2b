"""Removes secrets from texts, and passes a URI's password to MLflow.

The URI of a store or of a study, and the environment, may contain a password. It must not appear in printed text,
tracebacks, tags, pages or a process' arguments.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from farback.records.user_error import UserError

USER, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
SHORTEST = 4  # characters; a shorter secret is hidden in URIs only, since it may be part of other words
NAMES = r"(?:password|passwd|pwd|passphrase|token|secret|credentials?|api[_-]?key|access[_-]?key|signature)"
SHELL = {"PWD", "OLDPWD"}  # the shell's folders, not passwords
MASK = "***"


def shown(text: str) -> str:
    """A text without the secrets of the URIs in it, for messages, logs and pages."""
    hidden = re.sub(r"(?<=://)\S*@", f"{MASK}@", text)  # a password may contain a slash or a question mark
    hidden = re.sub(r"(?<![^\s'\"(\[=])[\w.%+-]+:[^\s:/]+@", f"{MASK}@", hidden)  # a URI without its scheme
    return re.sub(rf"(?i)\b([\w-]*{NAMES})=[^&\s]*", rf"\1={MASK}", hidden)


def masked(text: str, sources: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> str:
    """A text, such as a traceback, without the secrets of this process, in any URL encoding.

    `sources` are texts with secrets, such as the arguments of the command line.
    """
    variables = dict(os.environ) if environment is None else environment
    named = {name for name in variables if re.search(rf"(?i){NAMES}$", name)} - SHELL
    words = {variables[name] for name in named}
    for uri in (*sources, *variables.values()):
        words |= _secrets(uri)
    plain = {form for word in words for form in (word, unquote(word), unquote_plus(word))}
    spelled = plain | {form for word in plain for form in (quote(word), quote(word, safe=""), quote_plus(word))}
    for word in sorted((word for word in spelled if len(word) >= SHORTEST), key=len, reverse=True):
        text = text.replace(word, MASK)
    return shown(text)


def _secrets(uri: str) -> set[str]:
    """The password of a URI, or its user if it has no password, and the secret values of its query."""
    if "://" not in uri:
        return set()
    before, at, _ = re.split(r"(?<=[^/]):/{2}", uri, maxsplit=1)[-1].rpartition("@")
    user, colon, password = before.partition(":")
    found = {password if colon else user} if at else set()
    query = parse_qsl(uri.partition("?")[2].partition("#")[0], keep_blank_values=True)
    return found | {value for name, value in query if re.search(rf"(?i){NAMES}$", name)}


def signed_in(uri: str) -> str:
    """A server's URI without user and password: they go into environment variables, since MLflow's errors show URIs.

    Raises:
        UserError: the URI has a user but no password.
    """
    if not uri.startswith("http") or "@" not in uri:
        return uri
    scheme, _, rest = uri.partition("://")
    credentials, _, host = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    if not password:
        raise UserError(f"{shown(uri)} has a user but no password; a token belongs in {TOKEN}, not in the URI")
    os.environ[USER], os.environ[PASSWORD] = unquote(user), unquote(password)
    return urlunsplit(urlsplit(f"{scheme}://{host}"))


def authorization(environment: Mapping[str, str]) -> dict[str, str]:
    """The HTTP header with which MLflow's client signs in, from variables of the environment."""
    if environment.get(USER) and environment.get(PASSWORD):
        pair = f"{environment[USER]}:{environment[PASSWORD]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {"Authorization": f"Bearer {environment[TOKEN]}"} if environment.get(TOKEN) else {}
