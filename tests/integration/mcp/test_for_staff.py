"""What operators see and decide: the command, the admin, the checks, the doctor."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from tests.fake.mcp_server import SEARCH, FakeMcpServer
from tests.integration.mcp.conftest import accept, fetch, offered, pinned
from waldur_chat import checks
from waldur_chat.doctor import mcp_servers
from waldur_chat.models import PinnedTool
from waldur_chat.store import pinned_tools
from waldur_chat.tools.mcp.failures import McpFailure

pytestmark = pytest.mark.django_db

HERE = "tests.integration.mcp.test_for_staff"


def of_user(user: Any) -> Any:
    """The headers of a user."""
    return {"Authorization": f"Bearer {user.username}"} if user.is_authenticated else None


@pytest.fixture(autouse=True)
def host(site: Callable[..., Any]) -> None:
    """A site with a server."""
    site()


def printed(*arguments: str) -> tuple[str, str]:
    """What the command prints, and its complaints."""
    output, errors = StringIO(), StringIO()
    call_command("chat_tools", *arguments, stdout=output, stderr=errors)
    return output.getvalue(), errors.getvalue()


def answering(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr("builtins.input", lambda _: word)


class TestCommand:
    """`manage.py chat_tools`."""

    def test_it_asks_no_server_by_itself(self, fake: FakeMcpServer, due: list[str]) -> None:
        assert printed() == ("0 tools, 0 characters of each prompt.\n", "")
        assert (fake.asked, due) == ([], [])

    def test_it_says_what_waits(self) -> None:
        assert printed("--refresh")[1] == "not offered: jira_search, new: nobody has accepted it\n"

    def test_it_accepts_what_it_has_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answering(monkeypatch, "yes")
        output, _ = printed("--accept", "jira")
        assert output.startswith('jira_search, new:\n{\n  "annotations": {')
        assert output.endswith("jira_search: accepted\n0 others stay as they are.\n")
        assert offered() == ["jira_search"]
        assert printed()[0].startswith("jira_search  [approval: always; for: all; ")

    def test_it_accepts_nothing_without_a_yes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answering(monkeypatch, "y")
        with pytest.raises(CommandError, match="Nothing was accepted"):
            printed("--accept", "jira")
        assert offered() == []

    def test_it_accepts_nothing_where_nobody_can_be_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", StringIO())
        with pytest.raises(CommandError, match="Repeat it with --yes"):
            printed("--accept", "jira")
        assert offered() == []

    def test_what_cannot_be_seen_in_a_description_is_written_as_its_number(self, fake: FakeMcpServer) -> None:
        fake.tools = [{**SEARCH, "description": "Find\x1b[2Jissues\u202e"}]
        printed("--accept", "jira", "--yes")
        assert "Find\\u001b[2Jissues\\u202e" in printed()[0]

    def test_it_accepts_one_tool_of_a_server(self, fake: FakeMcpServer) -> None:
        fake.tools = [SEARCH, {**SEARCH, "name": "find"}]
        assert "jira_search" not in printed("--accept", "jira_find", "--yes")[0]
        assert offered() == ["jira_find"]
        assert printed("--accept", "jira", "--yes")[0].endswith("jira_search: accepted\n1 others stay as they are.\n")

    def test_it_shows_what_cannot_be_seen_in_the_words_of_a_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*arguments: Any) -> None:
            raise McpFailure("No\x1b[2J")

        monkeypatch.setattr("waldur_chat.tools.mcp.listing.fetch", refuse)
        assert printed("--refresh")[1] == "jira: No\\u001b[2J\n"

    def test_it_accepts_what_was_refused_only_by_its_name(self) -> None:
        fetch()
        row = PinnedTool.objects.get()
        pinned_tools.decide(row, row.hash, None, accept=False)
        assert printed("--accept", "jira")[0] == "1 others stay as they are.\n"
        assert printed()[1] == "not offered: jira_search, staff refuse it\n"
        printed("--accept", "jira_search", "--yes")
        assert offered() == ["jira_search"]

    def test_it_does_not_accept_what_has_changed_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def other(_: str) -> str:
            PinnedTool.objects.update(hash="0" * 64)
            return "yes"

        monkeypatch.setattr("builtins.input", other)
        assert "has changed meanwhile, and is not accepted" in printed("--accept", "jira")[0]
        assert offered() == []

    def test_a_name_that_no_server_has_is_an_error(self) -> None:
        with pytest.raises(CommandError, match="no MCP server of TOOLS has this name"):
            printed("--accept", "other")

    def test_a_server_that_does_not_answer_is_named(self, fake: FakeMcpServer) -> None:
        fake.faults["server/discover"] = lambda handler: handler.send(403, b"")
        assert printed("--refresh")[1] == "jira: It refuses access.\n"

    def test_it_lists_with_the_credentials_of_a_user(
        self, fake: FakeMcpServer, entry: Callable[..., Any], settings: Any
    ) -> None:
        tools = entry()
        tools["jira"]["MCP"]["user_headers"] = f"{HERE}.of_user"
        settings.WALDUR_CHAT = {"TOOLS": tools}
        get_user_model().objects.create(username="alice")
        printed("--refresh", "--user", "alice")
        assert fake.last("tools/list").headers["authorization"] == "Bearer alice"
        assert "has not connected" in printed("--refresh", "--user", "anonymous")[1]

    def test_it_says_why_others_are_not_offered(self, fake: FakeMcpServer, site: Callable[..., Any]) -> None:
        fake.tools = [SEARCH, {**SEARCH, "name": "find"}, {**SEARCH, "name": "gone"}, {"name": "broken"}]
        assert "jira: left out: broken: its inputSchema is no object.\n" in printed("--refresh")[1]
        accept("jira_find")
        fake.tools = [SEARCH, {**SEARCH, "name": "find", "description": "x"}]
        fetch()
        site(ONLY=["find", "gone"])
        assert printed()[1].splitlines() == [
            "not offered: jira_find, it has changed since it was accepted",
            "not offered: jira_gone, which its server no longer has",
            "not offered: jira_search, which ONLY does not name",
        ]

    def test_a_user_sees_tools_of_their_role(self, site: Callable[..., Any]) -> None:
        fetch()
        accept()
        site(ROLES="staff")
        get_user_model().objects.create(username="alice")
        assert json.loads(printed("--json", "--user", "alice")[0]) == []
        assert [one["name"] for one in json.loads(printed("--json")[0])] == ["jira_search"]


class TestAdmin:
    """The page of a tool."""

    @pytest.fixture
    def page(self) -> str:
        """The address of the page of the one tool."""
        fetch()
        return reverse("admin:waldur_chat_pinnedtool_change", args=[PinnedTool.objects.get().pk])

    @pytest.fixture
    def admin(self) -> Client:
        """The browser of a superuser."""
        client = Client()
        client.force_login(get_user_model().objects.create_superuser("root"))
        return client

    def sent(self, admin: Client, page: str, decision: str) -> str:
        """What is shown after a decision on the page as it is now."""
        shown = PinnedTool.objects.get().hash
        return admin.post(page, {"decision": decision, "shown_hash": shown}, follow=True).content.decode()

    def test_the_list_and_the_page_show_the_definition(self, admin: Client, page: str) -> None:
        assert "jira_search" in admin.get(reverse("admin:waldur_chat_pinnedtool_changelist")).content.decode()
        text = admin.get(page).content.decode()
        assert "&quot;description&quot;: &quot;Search the issues.&quot;" in text
        assert PinnedTool.objects.get().hash in text

    @pytest.mark.parametrize(("decision", "status"), [("accept", "accepted"), ("refuse", "refused"), ("", "new")])
    def test_a_decision_is_made_on_the_page(self, admin: Client, page: str, decision: str, status: str) -> None:
        self.sent(admin, page, decision)
        row = PinnedTool.objects.get()
        assert (row.status, row.decided_by is None) == (status, not decision)

    def test_a_decision_holds_for_what_was_shown(self, admin: Client, page: str, fake: FakeMcpServer) -> None:
        shown = PinnedTool.objects.get().hash
        fake.tools = [{**SEARCH, "description": "Other."}]
        fetch()
        answer = admin.post(page, {"decision": "accept", "shown_hash": shown}, follow=True).content.decode()
        assert "The definition has changed meanwhile. Look at it again." in answer
        assert (pinned(), offered()) == ({"jira_search": "new"}, [])

    def test_the_page_shows_what_has_changed(self, admin: Client, page: str, fake: FakeMcpServer) -> None:
        accept()
        fake.tools = [{**SEARCH, "description": "Search\u200b <script>"}]
        fetch()
        text = admin.get(page).content.decode()
        assert "-  &quot;description&quot;: &quot;Search the issues.&quot;" in text
        assert "+  &quot;description&quot;: &quot;Search\\u200b &lt;script&gt;&quot;" in text

    def test_nothing_is_added_or_deleted_here(self, admin: Client, page: str) -> None:
        assert admin.get(reverse("admin:waldur_chat_pinnedtool_add")).status_code == 403
        assert admin.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403

    def test_who_may_only_view_decides_nothing(self, page: str) -> None:
        user = get_user_model().objects.create(username="viewer", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_pinnedtool"))
        client = Client()
        client.force_login(user)
        assert "shown_hash" not in client.get(page).content.decode()
        assert client.post(page, {"decision": "accept", "shown_hash": "x"}).status_code == 403


class TestChecks:
    """`manage.py check`."""

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ({"VIEW": "project-list"}, "it must be a dict with one of 'VIEW', 'BACKEND' and 'MCP'."),
            ({"MCP": []}, "['MCP']: it must be a dict with url, headers, user_headers."),
            ({"MCP": {}}, "['MCP']['url']: it must be an address that begins with http:// or https://."),
            ({"ATOMIC": True}, "unknown key 'ATOMIC'."),
            ({"ONLY": []}, "['ONLY']: it must be a list of names of tools, as the server has them."),
            (
                {"OVERRIDES": []},
                "['OVERRIDES']: it must be a dict from names of tools, as the server has them, to dicts.",
            ),
            ({"OVERRIDES": {"a": 7}}, "['OVERRIDES']: it must be a dict from names of tools"),
            ({"OVERRIDES": {"a": {"SAEF": True}}}, "['OVERRIDES']['a']: unknown key 'SAEF'. Did you mean 'SAFE'?"),
            ({"SAFE": "yes"}, "['SAFE']: it must be True or False."),
        ],
    )
    def test_a_mistake_in_an_entry_is_named(self, site: Callable[..., Any], values: Any, expected: str) -> None:
        site(**values)
        (said,) = checks.check_tool_entries(None)
        assert expected in said.msg
        assert offered() == []

    def test_headers_that_others_can_read_are_a_warning(self, settings: Any) -> None:
        server = {"url": "http://mcp.example/", "headers": {"Authorization": "Bearer k-1"}}
        settings.WALDUR_CHAT = {"TOOLS": {"jira": {"MCP": server}}}
        (said,) = checks.check_mcp_addresses(None)
        assert said.id == "waldur_chat.W036"
        assert "k-1" not in said.msg

    def test_no_check_queries_the_database(self, django_assert_num_queries: Any, due: list[str]) -> None:
        with django_assert_num_queries(0):
            assert checks.check_mcp_addresses(None) == checks.check_tool_entries(None) == []
        assert due == []


class TestDoctor:
    """`manage.py chat_doctor`."""

    def test_it_finds_tools_that_wait(self) -> None:
        (found,) = mcp_servers.check_servers(mcp_servers.servers_of_site())
        assert (found.id, found.seen) == ("mcp_tools_wait", "jira: jira_search")
        assert found.cure == "manage.py chat_tools --accept jira"

    def test_it_finds_nothing_where_all_is_accepted(self) -> None:
        fetch()
        accept()
        assert mcp_servers.check_servers(mcp_servers.servers_of_site()) == []

    def test_it_finds_a_server_that_fails(self, fake: FakeMcpServer) -> None:
        fake.faults["tools/list"] = lambda handler: handler.send(200, b"")
        (found,) = mcp_servers.check_servers(mcp_servers.servers_of_site())
        assert (found.id, found.seen) == ("mcp_server_fails", "jira: Its answer is no JSON-RPC.")
        assert 'WALDUR_CHAT["TOOLS"]["jira"]["MCP"]' in found.cure

    @pytest.mark.parametrize(("tools", "asked"), [(None, 1), ({}, 0)])
    def test_the_command_asks_the_servers_that_there_are(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, tools: Any, asked: int
    ) -> None:
        monkeypatch.setattr("waldur_chat.management.commands.chat_doctor.examine", lambda *_: iter(()))
        if tools is not None:
            settings.WALDUR_CHAT = {"TOOLS": tools}
        output = StringIO()
        with suppress(SystemExit):
            call_command("chat_doctor", "http://127.0.0.1:1/", "--token", "x", "--no-model", stdout=output)
        assert output.getvalue().count("FOUND  the tools of each MCP server\n       mcp_tools_wait: ") == asked
