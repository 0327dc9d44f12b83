"""The entries of servers, credentials of users, and that neither shows."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from waldur_chat.tools.mcp.failures import NotConnected
from waldur_chat.tools.mcp.mcp_tool import McpTool
from waldur_chat.tools.mcp.servers import McpServer, read
from waldur_chat.tools.problems import ToolRefused

URL = "https://mcp.example/mcp"
HERE = "tests.unit.mcp.test_servers"


def of_user(user: Any) -> Any:
    """The headers of a user; here users are their headers."""
    if user == "broken":
        raise ValueError("the secret k-1")
    return user


def server(**values: Any) -> McpServer:
    """A server with headers of users."""
    return McpServer(name="jira", url=URL, headers={"X-Site": "s-1"}, user_headers=of_user, **values)


def refused(given: Any, name: str = "jira") -> str:
    """Why an entry is refused."""
    with pytest.raises(ToolRefused) as caught:
        read(name, "T['jira']", given)
    return f"{caught.value.problem.check} {caught.value.problem}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "E023 T['jira']['MCP']['url']: it must be an address that begins with http:// or https://."),
        ({"url": "ftp://a"}, "['url']: it must be an address that begins with http:// or https://."),
        ({"url": "https://a b"}, "['url']: it must be an address that begins with http:// or https://."),
        ({"url": "https://"}, "['url']: it must be an address that begins with http:// or https://."),
        ({"url": "https:///a"}, "['url']: it must be an address with a host, and without a fragment."),
        ({"url": "https://a:x"}, "['url']: it must be an address with a host, and without a fragment."),
        ({"url": "https://a#b"}, "['url']: it must be an address with a host, and without a fragment."),
        ({"url": "https://k-1@a"}, "['url']: put what is before the @ into headers."),
        ({"url": URL, "header": {}}, "['MCP']: unknown key 'header'. It has url, headers, user_headers."),
        ({"url": URL, "headers": "k-1"}, "['headers']: it must be a dict from names to strings of ASCII, and has some"),
        ({"url": URL, "headers": {"a b": "k-1"}}, "and has a name that cannot be one of a header."),
        ({"url": URL, "headers": {7: "k-1"}}, "and has a name that cannot be one of a header."),
        ({"url": URL, "headers": {"Mcp-Name": "k-1"}}, "and has the header Mcp-Name, which the protocol sets."),
        ({"url": URL, "headers": {"Host": "k-1"}}, "and has the header Host, which the protocol sets."),
        ({"url": URL, "headers": {"A": "k-1\n"}}, "and has a value of A that cannot be sent."),
        ({"url": URL, "headers": {"A": None}}, "and has a value of A that cannot be sent."),
        ({"url": URL, "user_headers": 7}, "['user_headers']: it must be the dotted path of a callable."),
        ({"url": URL, "user_headers": "no.such"}, "E030 T['jira']['MCP']['user_headers']: ModuleNotFoundError No mod"),
        ({"url": URL, "user_headers": f"{HERE}.URL"}, f"E030 T['jira']['MCP']['user_headers']: {HERE}.URL cannot be"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_its_value(given: Any, expected: str) -> None:
    said = refused(given)
    assert expected in said
    assert "k-1" not in said


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "ü"])
def test_the_name_of_a_server_can_be_one_of_a_tool(name: str) -> None:
    assert refused({"url": URL}, name).startswith("E026")


def test_neither_address_nor_headers_are_shown() -> None:
    assert "mcp.example" not in repr(server())
    assert "s-1" not in repr(server())


def test_a_user_has_the_headers_of_the_site_and_their_own() -> None:
    assert server().headers_for({"Authorization": "Bearer a"}) == {"X-Site": "s-1", "Authorization": "Bearer a"}


def test_without_a_callable_all_users_have_the_same() -> None:
    assert McpServer(name="a", url=URL, headers={"A": "b"}).headers_for(None) == {"A": "b"}


def test_a_user_without_credentials_is_not_connected() -> None:
    with pytest.raises(NotConnected, match="The user has not connected their account with 'jira'"):
        server().headers_for(None)


@pytest.mark.parametrize("user", ["broken", "k-1", {"Authorization": "k-1\r\nX: y"}, {"Cookie-X": b"k-1"}])
def test_credentials_that_cannot_be_sent_stay_here(user: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotConnected, match="cannot be had at the moment") as caught:
        server().headers_for(user)
    assert "k-1" not in str(caught.value) + caplog.text
    assert "of the MCP server jira" in caplog.text


@pytest.mark.parametrize(
    ("url", "headers", "is_sent", "is_encrypted"),
    [
        (URL, {"A": "b"}, True, True),
        ("http://mcp.example/", {}, False, False),
        ("http://127.0.0.1:81/", {"A": "b"}, True, True),
        ("http://mcp.example/", {"A": "b"}, True, False),
    ],
)
def test_whether_credentials_are_sent_and_read_on_the_way(
    url: str, headers: Any, is_sent: bool, is_encrypted: bool
) -> None:
    made = McpServer(name="a", url=url, headers=headers)
    assert (made.sends_credentials, made.is_encrypted) == (is_sent, is_encrypted)


def test_a_tool_of_a_server_asks_each_time_and_taints() -> None:
    assert (McpTool.approval, McpTool.is_safe, McpTool.outward, McpTool.trusted) == (None, False, True, False)
