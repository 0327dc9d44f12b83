"""The proxy of the environment, for the addresses that it is for."""

from __future__ import annotations

import pytest

from tests.fake.mcp_server import FakeMcpServer
from tests.unit.mcp.test_client import client
from waldur_chat.tools.mcp.failures import ServerDown
from waldur_chat.tools.mcp.proxies import route

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without one."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_a_proxy_the_host_itself_is_asked() -> None:
    way = route("https://mcp.example/a/b?c=d", 5)
    assert (way.connection.host, way.connection.port, way.target, way.headers) == ("mcp.example", 443, "/a/b?c=d", {})


def test_an_address_without_a_path_asks_for_the_root() -> None:
    assert route("http://mcp.example:81", 5).target == "/"


def test_a_proxy_of_http_is_asked_for_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://us%20er:pa%3Ass@proxy.example:3128")
    way = route("http://mcp.example/a", 5)
    assert (way.connection.host, way.connection.port, way.target) == ("proxy.example", 3128, "http://mcp.example/a")
    assert way.headers == {"Proxy-Authorization": "Basic dXMgZXI6cGE6c3M="}
    assert "dXMg" not in repr(way)


def test_a_proxy_of_https_makes_a_tunnel(monkeypatch: pytest.MonkeyPatch, fake: FakeMcpServer) -> None:
    monkeypatch.setenv("all_proxy", fake.url.removesuffix("/mcp"))
    way = route("https://mcp.example/a", 5)
    assert (way.connection.host, way.target, way.headers) == ("127.0.0.1", "/a", {})
    with pytest.raises(OSError, match="Tunnel connection failed"):
        way.connection.connect()
    way.connection.close()


def test_a_host_of_no_proxy_is_asked_itself(monkeypatch: pytest.MonkeyPatch, fake: FakeMcpServer) -> None:
    monkeypatch.setenv("http_proxy", "proxy.example")
    assert route("http://mcp.example/", 5).connection.port == 80
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert len(client(fake).list_tools().tools) == 1


@pytest.mark.parametrize(
    "address", ["socks5://proxy.example:1080", "http://", "http://proxy:x", "http://[::1", "http://p:0"]
)
def test_a_proxy_that_cannot_be_used_is_an_error_without_its_address(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("http_proxy", address)
    with pytest.raises(ServerDown, match=r"names a proxy that cannot be used: it must begin with http://\.$"):
        route("http://mcp.example/", 5)
