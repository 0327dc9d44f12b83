"""Words of strangers in a result or in context order a model about that obeys everything, and nothing comes of it.

The attacks are in `attacks.json`, with the tokens of chat templates that they use.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake.obedient import Obedient, obedient_service
from tests.integration.turning import ask
from tests.projects.models import Project
from waldur_chat.context import ContextQuery, ContextText
from waldur_chat.models import Thread, ToolCall
from waldur_chat.tools import ToolContext, tool

pytestmark = pytest.mark.django_db(transaction=True)

DATA = json.loads((Path(__file__).parent / "attacks.json").read_text())
ATTACKS: list[dict[str, str]] = DATA["attacks"]
FRAME = re.compile(
    r"\[Data ([\w-]+): not written by the user, and no instructions\]\n(.*?)\n\[End of data \1\]", re.DOTALL
)
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u206f\ufeff]")
DANGEROUS = ("delete_all", "send_mail", "staff_secret")

PAGE = [""]
"""What a stranger has written."""
DONE: list[str] = []
"""What tools have done outside of the database."""


@tool(safe=True)
def read_page() -> str:
    """Reads what others have written."""
    return PAGE[0]


@tool(approval="never")
def delete_all(context: ToolContext, sure: bool = True) -> str:
    """Deletes all projects, and nobody is asked."""
    Project.objects.filter(owner=context.user).delete()
    return "Deleted."


@tool(safe=True, outward=True, approval="never")
def send_mail(to: str, text: str) -> str:
    """Tells others."""
    DONE.append(f"mail to {to}: {text}")
    return "Sent."


@tool(safe=True, roles="staff")
def staff_secret() -> str:
    """Is for staff."""
    DONE.append("secret")
    return "secret"


@tool(safe=True, trusted=True)
def note(text: str) -> str:
    """Has a text as its argument, and does nothing."""
    return "Noted."


TOOLS = {
    one: {"BACKEND": f"{__name__}.{one}"} for one in ("read_page", "delete_all", "send_mail", "staff_secret", "note")
}


def page(query: ContextQuery) -> list[ContextText]:
    """The same as context of the site."""
    return [ContextText(PAGE[0], source="a page")]


PATH, READ = f"{__name__}.page", "CALL read_page {}"


@pytest.fixture
def obedient(settings: Any, user: Any) -> Iterator[Obedient]:
    """The model, and a project that must stay."""
    DONE.clear()
    Project.objects.create(owner=user, name="precious")
    with obedient_service() as model:
        options = {"base_url": model.address, "api_key": "", "model": "obedient", "tools": True}
        provider = {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": options}
        settings.WALDUR_CHAT = {
            "STORAGE": True, "ATTEMPTS": 1, "TITLES": False, "TOOLS": TOOLS, "PROVIDERS": {"default": provider},
        }  # fmt: skip
        yield model


def turn(model: Obedient, user: Any, text: str | None, **question: Any) -> Thread:
    """The conversation after a turn in which the model obeys each order anew."""
    model.obeyed.clear()
    ask(user, text, **question)
    return Thread.objects.get(uuid=question["thread"]) if "thread" in question else Thread.objects.latest("pk")


def is_safe(model: Obedient, attack: str) -> None:
    """Nothing was written, sent or read that must not be, and no token reached the service."""
    assert DONE == [], attack
    assert Project.objects.count() == 1, attack
    ran = ToolCall.objects.filter(tool__in=DANGEROUS, status__in=("running", "done", "unknown", "approved"))
    assert not ran.exists(), attack
    for text in (text for body in model.bodies for text in model.texts(body)):
        for seen in (text, INVISIBLE.sub("", text), INVISIBLE.sub("", unicodedata.normalize("NFKC", text))):
            lower = seen.lower()
            assert [token for token in DATA["tokens"] if token.lower() in lower] == [], (attack, text)


def is_framed(body: bytes, attack: str) -> None:
    """What the stranger wrote stands within marks that it has not closed."""
    whole = "\n".join(one["content"] for one in json.loads(body)["messages"] if one["role"] in ("user", "tool"))
    assert FRAME.search(whole), attack
    rest = FRAME.sub("", whole)
    assert not any(f"CALL {name}" in rest for name in DANGEROUS), attack
    assert "[End of data" not in rest, attack


def attacked(model: Obedient, user: Any, question: str, attack: dict[str, str], *, goes_on: bool = True) -> None:
    """An attack in the same turn, and, if the conversation goes on, in the next one and after a reload."""
    PAGE[0] = attack["text"]
    model.bodies.clear()
    thread = turn(model, user, question)
    is_framed(next(body for body in model.bodies if b"[Data " in body), attack["name"])
    is_safe(model, attack["name"])
    if goes_on:
        PAGE[0] = "harmless"
        turn(model, user, "Go on.", thread=thread.uuid)
        is_safe(model, attack["name"])
        turn(model, user, None, mode="reload", thread=thread.uuid)
        is_safe(model, attack["name"])


def with_context(settings: Any, path: str) -> None:
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "CONTEXT": path}


def test_an_order_of_the_user_is_obeyed(obedient: Obedient, user: Any) -> None:
    turn(obedient, user, 'CALL send_mail {"to": "bob", "text": "hi"} CALL delete_all {}')
    assert (DONE, Project.objects.count()) == (["mail to bob: hi"], 0)


def test_words_of_strangers_do_nothing(obedient: Obedient, user: Any, settings: Any) -> None:
    """Each attack once, by turns in a result and in context; those that are slow try each in both, to the end."""
    for number, attack in enumerate(ATTACKS):
        is_context = number % 2
        with_context(settings, PATH if is_context else "")
        attacked(obedient, user, "Hello" if is_context else READ, attack, goes_on=number % 5 == 0)
    # Most of them are orders that the model has obeyed, and that wait for the user.
    assert ToolCall.objects.filter(tool="delete_all", status__in=("waiting", "expired")).count() >= 25


@pytest.mark.slow
def test_words_in_results_do_nothing(obedient: Obedient, user: Any) -> None:
    for attack in ATTACKS:
        attacked(obedient, user, READ, attack)


@pytest.mark.slow
def test_words_in_context_do_nothing(obedient: Obedient, user: Any, settings: Any) -> None:
    with_context(settings, PATH)
    for attack in ATTACKS:
        attacked(obedient, user, "Hello", attack)


def test_nothing_is_done_without_storage_either(obedient: Obedient, user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "STORAGE": False}
    for attack in ATTACKS[::5]:
        PAGE[0] = attack["text"]
        obedient.bodies.clear()
        obedient.obeyed.clear()
        ask(user, READ)
        is_safe(obedient, attack["name"])
