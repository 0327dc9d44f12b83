"""System prompts over the API, and what is done with the active one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.integration.stored import client_of, first_word
from waldur_chat.models import SystemPrompt, SystemPromptVersion
from waldur_chat.store.conversations import system_prompts

pytestmark = pytest.mark.django_db

PROMPTS = "/api/chat-system-prompts/"


@pytest.fixture
def staff(db: None) -> Any:
    """A user of staff."""
    return get_user_model().objects.create_user("staff", is_staff=True)


@pytest.fixture
def client(staff: Any) -> Client:
    """Calls the API as that user."""
    return client_of(staff)


def send(client: Client, method: str, path: str = "", data: Any = None) -> Any:
    """The response to this, with a body of JSON."""
    return client.generic(method, PROMPTS + path, b"" if data is None else _json(data), "application/json")


def _json(data: Any) -> bytes:
    return json.dumps(data).encode()


def make(staff: Any, name: str = "Default", **values: str) -> SystemPrompt:
    """A prompt."""
    return system_prompts.create(staff, name=name, **values)


# The API


def test_a_prompt_is_written_and_has_the_fields_of_the_contract(client: Client) -> None:
    response = send(client, "POST", data={"name": "Default", "custom_instructions": "Be kind."})
    shown = response.json()
    assert response.status_code == 201
    assert list(shown) == ["uuid", "name", "description", "custom_instructions", "is_active", "created", "modified"]
    assert (shown["name"], shown["description"], shown["custom_instructions"]) == ("Default", "", "Be kind.")
    assert (shown["is_active"], shown["uuid"]) == (False, UUID(shown["uuid"]).hex)


def test_instructions_keep_their_spaces_and_braces(client: Client) -> None:
    text = '\n  {"a": {assistant_name}}\n'
    shown = send(client, "POST", data={"name": "Default", "custom_instructions": text}).json()
    assert shown["custom_instructions"] == text


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a", "description": None}, "description"),
        ({"name": "a", "custom_instructions": ["b"]}, "custom_instructions"),
        ({"name": "a", "custom_instructions": "\0"}, "custom_instructions"),
        ({"name": "a", "custom_instructions": "\ud800"}, "custom_instructions"),
    ],
)
def test_what_cannot_be_is_refused_under_its_name(client: Client, data: Any, name: str) -> None:
    response = send(client, "POST", data=data)
    assert (response.status_code, name in response.json()) == (400, True)
    assert not SystemPrompt.objects.exists()


def test_what_only_acts_change_is_ignored(client: Client) -> None:
    data = {"name": "Default", "is_active": True, "uuid": "a" * 32}
    shown = send(client, "POST", data=data).json()
    assert (shown["is_active"], shown["uuid"] == "a" * 32) == (False, False)


@pytest.mark.parametrize("dashes", [True, False])
def test_a_prompt_is_found_with_and_without_dashes(client: Client, staff: Any, dashes: bool) -> None:
    prompt = make(staff)
    assert send(client, "GET", f"{prompt.uuid if dashes else prompt.uuid.hex}/").json()["name"] == "Default"


@pytest.mark.parametrize("uuid", ["x", "7", str(uuid4())], ids=["word", "number", "unknown"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""),
        ("POST", "activate/"), ("POST", "deactivate/"), ("GET", "versions/"),
    ],
)  # fmt: skip
def test_a_prompt_that_is_not_there_is_not_found(client: Client, uuid: str, method: str, path: str) -> None:
    response = send(client, method, f"{uuid}/{path}", {"name": "a"})
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_some_of_it_is_changed(client: Client, staff: Any) -> None:
    prompt = make(staff, description="old", custom_instructions="Be kind.")
    shown = send(client, "PATCH", f"{prompt.uuid}/", {"description": "new"}).json()
    assert (shown["name"], shown["description"], shown["custom_instructions"]) == ("Default", "new", "Be kind.")
    assert shown["modified"] > shown["created"]


def test_a_replacement_needs_a_name(client: Client, staff: Any) -> None:
    prompt = make(staff)
    assert send(client, "PUT", f"{prompt.uuid}/", {"description": "new"}).status_code == 400
    assert send(client, "PUT", f"{prompt.uuid}/", {"name": "New"}).json()["name"] == "New"


def test_a_prompt_is_deleted(client: Client, staff: Any) -> None:
    prompt = make(staff)
    response = send(client, "DELETE", f"{prompt.uuid}/")
    assert (response.status_code, response.content) == (204, b"")
    assert not SystemPromptVersion.objects.exists()


def test_the_list_has_pages_the_newest_first(client: Client, staff: Any) -> None:
    for name in "abc":
        make(staff, name)
    response = client.get(PROMPTS, {"page_size": "2"})
    assert [prompt["name"] for prompt in response.json()] == ["c", "b"]
    assert response["X-Result-Count"] == "3"
    assert 'page=2&page_size=2>; rel="next"' in response["Link"]


def test_a_head_counts(client: Client, staff: Any) -> None:
    make(staff)
    response = client.head(PROMPTS)
    assert (response.status_code, response["X-Result-Count"], response.content) == (200, "1", b"")


def test_the_list_has_a_fixed_number_of_queries(client: Client, staff: Any) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(PROMPTS)
        return len(queries)

    make(staff)
    before = count()
    for name in "abcdefg":
        make(staff, name)
    assert count() == before == 3


@pytest.mark.parametrize("body", [None, {"name": ""}, b"{", {"name": "New"}])
def test_one_prompt_is_active_and_bodies_are_not_read(client: Client, staff: Any, body: Any) -> None:
    one, two = make(staff, "one"), make(staff, "two")
    system_prompts.activate(one)
    raw = body if isinstance(body, bytes) else b"" if body is None else _json(body)
    response = client.generic("POST", f"{PROMPTS}{two.uuid}/activate/", raw, "application/json")
    assert (response.status_code, response.json()["name"], response.json()["is_active"]) == (200, "two", True)
    assert list(SystemPrompt.objects.filter(is_active=True)) == [two]
    response = client.generic("POST", f"{PROMPTS}{two.uuid}/deactivate/", raw, "application/json")
    assert (response.status_code, response.json()["is_active"]) == (200, False)


def test_versions_are_listed_the_newest_first(client: Client, staff: Any) -> None:
    prompt = make(staff, custom_instructions="Be kind.")
    system_prompts.change(prompt, staff, custom_instructions="Be brief.")
    response = client.get(f"{PROMPTS}{prompt.uuid}/versions/")
    newest, oldest = response.json()
    assert (newest["number"], newest["custom_instructions"]) == (2, "Be brief.")
    assert (oldest["number"], oldest["author_username"]) == (1, "staff")
    assert (len(oldest["author_uuid"]), response["X-Result-Count"]) == (32, "2")


def test_a_version_outlives_its_author(client: Client, staff: Any) -> None:
    author = get_user_model().objects.create_user("author")
    prompt = make(author)
    author.delete()
    (version,) = client.get(f"{PROMPTS}{prompt.uuid}/versions/").json()
    assert (version["author_uuid"], version["author_username"]) == (None, None)


def test_what_is_deleted_while_it_is_changed_is_not_found(
    client: Client, staff: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = make(staff)
    activate = system_prompts.activate

    def late(found: SystemPrompt) -> SystemPrompt:
        SystemPrompt.objects.all().delete()
        return activate(found)

    monkeypatch.setattr(system_prompts, "activate", late)
    assert send(client, "POST", f"{prompt.uuid}/activate/").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("HEAD", ""), ("POST", ""), ("GET", "{uuid}/"), ("PUT", "{uuid}/"), ("PATCH", "{uuid}/"),
        ("DELETE", "{uuid}/"), ("POST", "{uuid}/activate/"), ("POST", "{uuid}/deactivate/"),
        ("GET", "{uuid}/versions/"),
    ],
)  # fmt: skip
def test_they_are_for_staff_alone(staff: Any, user: Any, method: str, path: str) -> None:
    path = path.format(uuid=make(staff).uuid)
    assert send(Client(), method, path, {"name": "a"}).status_code == 401
    assert send(client_of(user), method, path, {"name": "a"}).status_code == 403
    assert SystemPrompt.objects.get().name == "Default"


# What is done with them


def test_the_active_prompt_is_its_newest_version_in_one_query(staff: Any, django_assert_num_queries: Any) -> None:
    prompt = system_prompts.activate(make(staff, custom_instructions="Be kind."))
    system_prompts.activate(system_prompts.change(prompt, staff, custom_instructions="Be brief."))
    make(staff, "Other")
    with django_assert_num_queries(1):
        version = system_prompts.active()
    assert version is not None
    assert (version.number, version.custom_instructions) == (2, "Be brief.")


def test_without_an_active_prompt_there_is_none(staff: Any) -> None:
    make(staff)
    assert system_prompts.active() is None


def test_the_same_instructions_are_no_version(staff: Any) -> None:
    prompt = make(staff, custom_instructions="Be kind.")
    system_prompts.change(prompt, staff, custom_instructions="Be kind.", name="Kind")
    assert prompt.versions.count() == 1


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("You are {assistant_name} of {organization}.", "You are Ada of CERN."),
        ("{assistant_name}{assistant_name}", "AdaAda"),
        ('{"a": {}, "b": {0}, "c": {{organization}}}', '{"a": {}, "b": {0}, "c": {CERN}}'),
        ("{assistant_name.__class__} {assistant_name!r} {ASSISTANT_NAME} { organization }",) * 2,
        ("100 % {", "100 % {"),
        ("", ""),
    ],
)
def test_the_placeholders_are_filled_and_nothing_else(text: str, filled: str) -> None:
    assert system_prompts.fill_placeholders(text, "Ada", "CERN") == filled


def test_values_are_not_filled_again() -> None:
    assert system_prompts.fill_placeholders(
        "{assistant_name}, {organization}", "{organization}", r"\1 {assistant_name}"
    ) == (r"{organization}, \1 {assistant_name}")


@pytest.mark.django_db(transaction=True)
def test_of_several_that_are_activated_at_once_one_is_active(staff: Any) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("this test needs a database that several write to at once")
    several = [make(staff, name) for name in "abcdef"]
    barrier = Barrier(len(several))

    def activate(prompt: SystemPrompt) -> None:
        try:
            for _ in range(20):
                barrier.wait(10)
                system_prompts.activate(prompt)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(several)) as threads:
        list(threads.map(activate, several))
    assert SystemPrompt.objects.filter(is_active=True).count() == 1


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Others lock rows.")
@pytest.mark.parametrize("act", [system_prompts.activate, system_prompts.deactivate, system_prompts.delete])
def test_an_act_writes_before_it_reads(staff: Any, act: Any) -> None:
    """SQLite refuses who has read in a transaction and then writes beside another writer."""
    prompt = make(staff)
    with CaptureQueriesContext(connection) as queries:
        act(prompt)
    assert first_word(queries) == "UPDATE"
