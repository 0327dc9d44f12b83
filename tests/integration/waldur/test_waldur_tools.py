"""The ready tools on a host that has Waldur's views: who sees what, which columns, and what the page draws."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.constance_host import Host
from tests.integration.test_documentation import ROOT
from tests.integration.tools.test_page_of_tools import WALDUR, WALDUR_AND_OTHERS
from tests.integration.waldur.conftest import Execute, offered, properties
from tests.marketplace.rows import key
from tests.marketplace.views import COMPUTED
from waldur_chat import checks
from waldur_chat.tools import registry
from waldur_chat.tools.ask_user import AskUser
from waldur_chat.waldur_tools import WALDUR_TOOLS
from waldur_chat.waldur_tools.blocks import homeport_url, offering_links

LINK = {
    "label": "Cloud Tartu",
    "url": f"/marketplace-public-offering/{key(301)}/",
    "variant": "primary",
    "subtitle": "Works",
    "description_excerpt": "Servers & disks in Tartu",
}


def names(result: Any) -> list[str]:
    return [row["name"] for row in result["data"]["rows"]]


def test_the_set_is_switched_on_by_its_name(waldur: Any) -> None:
    assert list(registry.examine().tools) == [*WALDUR_TOOLS]
    assert registry.examine().problems == ()
    waldur.WALDUR_CHAT = {}
    assert registry.examine().tools == {}


def test_the_set_can_be_part_of_ones_own(waldur: Any) -> None:
    waldur.WALDUR_CHAT = {"TOOLS": {**WALDUR_TOOLS, "list_events": {"VIEW": "event-list", "ROLES": "staff"}}}
    tools = registry.examine().tools
    assert list(tools) == [*WALDUR_TOOLS]
    assert tools["list_events"].roles == "staff"


def test_settings_can_import_the_set() -> None:
    code = "import sys, waldur_chat.waldur_tools; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_users_see_their_own_and_staff_all(execute: Execute) -> None:
    assert names(execute("alice", "list_organizations")) == ["Lab"]
    assert names(execute("bob", "list_organizations")) == ["Works"]
    assert names(execute("boss", "list_organizations")) == ["Lab", "Works"]
    assert execute("alice", "get_invoice", uuid=key(602))["detail"] == "Not found."


def test_who_is_not_logged_in_has_the_marketplace_only(execute: Execute) -> None:
    assert offered() == ["search_offerings", "get_offering", "list_categories", "ask_user"]
    assert execute("nobody", "list_categories")["data"]["rows"][0]["title"] == "VMs"


def test_the_host_computes_no_column_that_the_model_does_not_get(execute: Execute) -> None:
    result = execute("alice", "list_resources", state=["Erred"])
    assert {"name", "error_message"} <= COMPUTED
    assert COMPUTED.isdisjoint({"attributes", "limits"})
    assert set(result["data"]["rows"][0]) == COMPUTED


def test_every_view_gives_what_its_entry_names(execute: Execute) -> None:
    uuids = {"get_resource": key(101), "get_offering": key(301), "get_invoice": key(601)}

    def gives(name: str) -> bool:
        data = execute("alice", name, **({"uuid": uuids[name]} if name in uuids else {}))["data"]
        row = data if name in uuids else data["rows"][0]
        return set(row) <= set(WALDUR_TOOLS[name]["FIELDS"]) and any(row.values())

    assert [name for name, entry in WALDUR_TOOLS.items() if "VIEW" in entry and not gives(name)] == []


def test_only_filters_of_the_entry_that_the_host_has_are_offered(waldur: Any) -> None:
    assert properties("list_organizations") == {"query", "name_exact", "page"}
    assert properties("list_resources") == {"query", "state", "project_uuid", "page"}
    assert properties("get_resource") == {"uuid"}


def test_pages_tell_of_all_rows_and_how_to_go_on(execute: Execute) -> None:
    first = execute("alice", "list_resources", project_uuid=key(11))
    assert first["summary"] == "50 of 60 rows."
    assert first["data"]["more"] == "call again with page=2"
    second = execute("alice", "list_resources", project_uuid=key(11), page=2)
    assert (len(second["data"]["rows"]), "more" in second["data"]) == (10, False)


def test_offerings_are_links_on_the_page(execute: Execute) -> None:
    result = execute("nobody", "search_offerings", query="Tartu")
    assert result["ui_component"] == "homeport_nav"
    assert result["ui_data"] == {"links": [LINK], "content": "Offerings: 1"}
    assert names(result) == ["Cloud Tartu"]


def test_offerings_without_texts_are_links_too(execute: Execute) -> None:
    links = execute("alice", "search_offerings")["ui_data"]["links"]
    assert links[3] == {**links[3], "label": key(304), "subtitle": "", "description_excerpt": ""}


@pytest.mark.parametrize("data", [None, "text", {"rows": []}, {"rows": [{"name": "no uuid"}]}])
def test_without_offerings_nothing_is_shown(data: Any) -> None:
    assert offering_links(data) == ("", {})


def test_links_lead_to_the_page_of_the_host(waldur: Any) -> None:
    assert homeport_url() == ""
    waldur.WALDUR_CORE = {"HOMEPORT_URL": "https://portal.example.com/"}
    assert homeport_url() == "https://portal.example.com"


def test_the_address_of_the_page_may_be_in_constance(waldur: Any, host: Host) -> None:
    host({"HOMEPORT_URL": "https://default.example.com/"})
    assert homeport_url() == "https://default.example.com"
    host({"HOMEPORT_URL": ""}, HOMEPORT_URL="https://stored.example.com")
    assert homeport_url() == "https://stored.example.com"


def test_resources_are_shown_as_a_list_that_the_page_fetches(execute: Execute) -> None:
    shown = {"project_uuid": key(11), "state": ["OK"]}
    result = execute("alice", "display_user_resources", **shown)
    assert (result["ui_component"], result["ui_data"]) == ("resource_list", shown)
    assert not COMPUTED


def test_the_user_can_be_asked(waldur: Any) -> None:
    assert isinstance(registry.examine().tools["ask_user"], AskUser)


@pytest.mark.django_db
def test_the_command_lists_the_set(waldur: Any, django_user_model: Any) -> None:
    django_user_model.objects.create(username="alice")
    output = StringIO()
    call_command("chat_tools", "--json", "--user", "alice", stdout=output)
    listed = json.loads(output.getvalue())
    assert [tool["name"] for tool in listed] == [*WALDUR_TOOLS]
    assert {tool["approval"] for tool in listed} == {"never"}


class TestOlderRelease:
    """A host that lacks some of the views."""

    @pytest.fixture(autouse=True)
    def old(self, waldur: Any) -> None:
        waldur.ROOT_URLCONF = "tests.marketplace.old_urls"

    def test_what_it_lacks_is_left_out(self, execute: Execute) -> None:
        gone = {"list_project_credits", "list_organization_credits", "list_calls", "list_proposals", "get_invoice"}
        assert set(WALDUR_TOOLS) - set(registry.examine().tools) == gone | {"list_events"}
        assert execute("alice", "list_projects")["data"]["rows"][0]["name"] == "Apollo"

    def test_a_check_warns_of_it(self) -> None:
        (warning,) = checks.check_optional_views(None)
        assert warning.id == "waldur_chat.W035"
        assert warning.msg == (
            "WALDUR_CHAT['TOOLS']: optional tools are left out, whose views the site does not have: get_invoice, "
            "list_project_credits, list_organization_credits, list_events, list_calls, list_proposals."
        )

    def test_the_command_says_once_what_is_missing_of_each(self) -> None:
        output = StringIO()
        call_command("chat_tools", stdout=output, stderr=output, skip_checks=False)
        lines = [line.partition("']: ")[2] for line in output.getvalue().splitlines() if line.startswith("left out: ")]
        assert lines == [
            "the view 'invoice-detail' does not take GET.",
            "no URL of the site has the name 'project-credit-list'.",
            "no URL of the site has the name 'customer-credit-list'.",
            "the view 'event-list' gives no JSON, but text/html.",
            "no URL of the site has the name 'proposal-public-call-list'.",
            "no URL of the site has the name 'proposal-proposal-list'.",
        ]
        assert all(output.getvalue().count(line) == 1 for line in lines)
        assert [checks.check_tool_views(None), checks.check_tool_answers(None)] == [[], []]

    def test_fields_that_it_lacks_are_missing(self, execute: Execute) -> None:
        assert execute("alice", "list_invoices")["data"]["rows"][0] == {"uuid": key(601), "year": 2026}


class TestPage:
    """docs/tools.md on Waldur."""

    def test_it_lists_the_set(self) -> None:
        section = (ROOT / "docs" / "tools.md").read_text().partition("## In Waldur")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| (?:`([\w-]+)`|none)", section, re.MULTILINE)
        assert rows == [(name, entry.get("VIEW", "")) for name, entry in WALDUR_TOOLS.items()]

    def test_its_settings_work(self, waldur: Any) -> None:
        for block, more in ((WALDUR, set()), (WALDUR_AND_OTHERS, {"waldur_chat.E024"})):
            values: dict[str, Any] = {}
            exec(block, values)
            waldur.WALDUR_CHAT = values["WALDUR_CHAT"]
            assert set(WALDUR_TOOLS) == set(registry.examine().tools)
            assert {one.id for one in checks.check_tool_views(None)} == more  # The stand-in has no keys of SSH.
