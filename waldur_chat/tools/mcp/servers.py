"""MCP servers as the operator has configured them: entries of `WALDUR_CHAT["TOOLS"]` with `MCP`."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

from waldur_chat.tools.mcp.failures import NotConnected
from waldur_chat.tools.problems import ToolProblem, ToolRefused

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
KEYS = ("url", "headers", "user_headers")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
OURS = re.compile(r"(mcp-.*|host|accept|accept-encoding|connection|content-.*|transfer-encoding|te|upgrade|expect)")
"""Headers that the protocol sets, in lower case."""

NOT_CONNECTED = "The user has not connected their account with {name!r}. Tell them so."
NO_HEADERS = "The credentials of the user for {name!r} cannot be had at the moment."

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A server. `name` begins the names of its tools; address and headers may be secrets.

    `user_headers` makes the headers of a user, over `headers`. `only` names the tools that are taken, all if it is
    empty. `attributes` are those of `Tool` for all tools of the server, `overrides` those of single ones.
    """

    name: str
    url: str = field(repr=False)
    headers: Headers = field(default_factory=dict, repr=False)
    user_headers: Callable[[Any], Headers | None] | None = field(default=None, repr=False)
    only: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def sends_credentials(self) -> bool:
        """Whether its requests have headers of the operator or of users."""
        return bool(self.headers or self.user_headers)

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody on the way reads its requests: by TLS, or within this machine."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")

    def takes(self, tool: str) -> bool:
        """Whether a tool of the server is taken at all."""
        return not self.only or tool in self.only

    def headers_for(self, user: Any) -> Headers:
        """The headers of a call for this user. Raises `NotConnected`."""
        if self.user_headers is None:
            return self.headers
        try:
            own = self.user_headers(user)
        except Exception as error:  # Its words may hold a secret.
            logger.error("The user_headers of the MCP server %s failed: %s", self.name, type(error).__name__)
            raise NotConnected(NO_HEADERS.format(name=self.name)) from error
        if own is None:
            raise NotConnected(NOT_CONNECTED.format(name=self.name))
        if problem := _header_problem(own):
            logger.error("The user_headers of the MCP server %s returned %s", self.name, problem)
            raise NotConnected(NO_HEADERS.format(name=self.name))
        return {**self.headers, **own}


def read(name: str, place: str, given: Mapping[str, Any], **values: Any) -> McpServer:
    """The server of the key `MCP` of an entry. Raises `ToolRefused`."""
    for wrong, message in _problems(given):
        raise ToolRefused(ToolProblem("E023", f"{place}['MCP']{wrong}", message))
    if not NAME.fullmatch(name):
        raise ToolRefused(ToolProblem("E026", place, "the name must have 1 to 32 letters, digits, _ and -."))
    path = given.get("user_headers")
    return McpServer(
        name=name,
        url=given["url"],
        headers=given.get("headers", {}),
        user_headers=_imported(path, f"{place}['MCP']['user_headers']") if path else None,
        **values,
    )


def _imported(path: str, place: str) -> Callable[[Any], Headers | None]:
    try:
        found = import_string(path)
    except Exception as error:
        words = str(error) if isinstance(error, ImportError) else ""
        raise ToolRefused(ToolProblem("E030", place, f"{type(error).__name__} {words}".strip())) from error
    if not callable(found):
        raise ToolRefused(ToolProblem("E030", place, f"{path} cannot be called."))
    made: Callable[[Any], Headers | None] = found
    return made


def _problems(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong, as pairs of a place and a sentence without any value: each may be a secret."""
    for key in given:
        if key not in KEYS:
            yield "", f"unknown key {key!r}. It has {', '.join(KEYS)}."
    if problem := _address_problem(given.get("url")):
        yield "['url']", problem
    if problem := _header_problem(given.get("headers", {})):
        yield "['headers']", f"it must be a dict from names to strings of ASCII, and has {problem}."
    path = given.get("user_headers")
    if path is not None and not (isinstance(path, str) and path.strip()):
        yield "['user_headers']", "it must be the dotted path of a callable."


def _address_problem(url: Any) -> str:
    if not isinstance(url, str) or not re.fullmatch(r"https?://[!-~]+", url):
        return "it must be an address that begins with http:// or https://."
    try:
        parts = urlsplit(url)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.fragment:
        return "it must be an address with a host, and without a fragment."
    return "put what is before the @ into headers." if "@" in parts.netloc else ""


def _header_problem(headers: Any) -> str:
    """What is wrong with headers; empty if nothing is."""
    if not isinstance(headers, Mapping):
        return "something else than a dict"
    for name, value in headers.items():
        if not (isinstance(name, str) and HEADER_NAME.fullmatch(name)):
            return "a name that cannot be one of a header"
        if OURS.fullmatch(name.lower()):
            return f"the header {name}, which the protocol sets"
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
            return f"a value of {name} that cannot be sent"
    return ""
