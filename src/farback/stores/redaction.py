"""What of a URI may be shown, and where its secrets go instead.

A password may stand in the URI of a store or of a study, or in the environment. It must not be seen in what is printed,
in a traceback, in a tag, in a page or in a process' arguments.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from farback.records.record import UserError

USER, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
SHORTEST = 4  # characters: a shorter word is hidden in its URI only, or it would be cut out of other words
NAMES = r"(?:password|passwd|pwd|passphrase|token|secret|credentials?|api[_-]?key|access[_-]?key|signature)"
SHELL = {"PWD", "OLDPWD"}  # the shell's folders, no passwords: paths below them have to be read
MASK = "***"


def shown(text: str) -> str:
    """A URI, or a text with URIs in it, without what is secret: for messages, logs and pages."""
    hidden = re.sub(r"(?<=://)\S*@", f"{MASK}@", text)  # a password may hold a slash or a question mark
    hidden = re.sub(r"(?<![^\s'\"(\[=])[\w.%+-]+:[^\s:/]+@", f"{MASK}@", hidden)  # the scheme was forgotten
    return re.sub(rf"(?i)\b([\w-]*{NAMES})=[^&\s]*", rf"\1={MASK}", hidden)


def masked(text: str, said: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> str:
    """A text of others, such as a traceback, without the secrets of this process, however they are spelled.

    Args:
        text: it may repeat a part of a URI.
        said: where URIs may stand, such as the command line.
        environment: by default this process'.
    """
    variables = dict(os.environ) if environment is None else environment
    named = {name for name in variables if re.search(rf"(?i){NAMES}$", name)} - SHELL
    words = {variables[name] for name in named}
    for uri in (*said, *variables.values()):
        words |= _secrets(uri)
    plain = {form for word in words for form in (word, unquote(word), unquote_plus(word))}
    spelled = plain | {form for word in plain for form in (quote(word), quote(word, safe=""), quote_plus(word))}
    for word in sorted((word for word in spelled if len(word) >= SHORTEST), key=len, reverse=True):
        text = text.replace(word, MASK)
    return shown(text)


def _secrets(uri: str) -> set[str]:
    """The password of a URI, or its user where that stands alone, and the values of secret parts of its query."""
    if "://" not in uri:
        return set()
    before, at, _ = re.split(r"(?<=[^/]):/{2}", uri, maxsplit=1)[-1].rpartition("@")
    user, colon, password = before.partition(":")
    found = {password if colon else user} if at else set()
    query = parse_qsl(uri.partition("?")[2].partition("#")[0], keep_blank_values=True)
    return found | {value for name, value in query if re.search(rf"(?i){NAMES}$", name)}


def signed_in(uri: str) -> str:
    """A server's URI without its user and password, which go where MLflow looks for them: its errors show the URI.

    Raises:
        UserError: a user without a password.
    """
    if not uri.startswith("http") or "@" not in uri:
        return uri
    bare, user, password = _parted(uri)
    if not password:
        raise UserError(f"{shown(uri)} has a user and no password: a token goes into {TOKEN}, not into the URI")
    os.environ[USER], os.environ[PASSWORD] = user, password
    return bare


def authorization(environment: Mapping[str, str]) -> dict[str, str]:
    """The header by which MLflow's own client signs in with what is in the environment."""
    if environment.get(USER) and environment.get(PASSWORD):
        pair = f"{environment[USER]}:{environment[PASSWORD]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {"Authorization": f"Bearer {environment[TOKEN]}"} if environment.get(TOKEN) else {}


def _parted(uri: str) -> tuple[str, str, str]:
    """A URI without user and password, and these two."""
    scheme, _, rest = uri.partition("://")
    before, _, host = rest.rpartition("@")
    user, _, password = before.partition(":")
    return urlunsplit(urlsplit(f"{scheme}://{host}")), unquote(user), unquote(password)
