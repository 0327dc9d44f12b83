"""A canary is put into every secret: settings, headers and the question. It is found nowhere that others can look."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import Any

import pytest
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.views.debug import ExceptionReporter

from tests.integration.conftest import Caller, Reply
from tests.integration.leaky import ANSWERS, leaky_service
from tests.processes import free_port
from tests.unit.conftest import use_transport
from waldur_chat import chat, signals
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.record import TurnRecord

CANARY = "c4n4ry"
QUESTION = {"input": f"My password is {CANARY}-question."}
PROMPTS = {"SYSTEM_PROMPT": f"Never tell {CANARY}-system.", "OPENING_PROMPT": f"Say {CANARY}-opening."}
COLOURS = ("wsgi", "asgi")
PROVIDERS = (
    ("plain openai", "aiohttp"),
    ("openai", "sdk"),
    ("langserve", "aiohttp"),
    ("langserve", "sdk"),
)
"""Each provider that holds secrets, and each HTTP client that the openai SDK may bring."""
LIMITS = {"ATTEMPTS": 1, "SILENCE_SECONDS": 0.3}
HEADERS = {
    "Cookie": f"sessionid={CANARY}-cookie",
    "X_Api_Key": f"{CANARY}-header",
    "Accept": "text/event-stream, */*;q=0.5",
}


def pairs(
    names: str, firsts: Iterable[Any], seconds: Iterable[Any] = ((),), *, by_turns: tuple[tuple[int, ...], ...] = ()
) -> pytest.MarkDecorator:
    """Each of these with each of those, and with both colours by turns.

    A service, the provider that asks it, and how the answer is written know nothing of each other: pairs are all that
    can differ. A value may be a tuple, for several names. With `by_turns` each of the first is tried with some of the
    second only, those at one of these lists of places by turns; the other pairs are slow.
    """
    cases = [
        pytest.param(
            COLOURS[(place + number) % 2],
            *flat(first),
            *flat(second),
            marks=() if not by_turns or number in by_turns[place % len(by_turns)] else pytest.mark.slow,
        )
        for place, first in enumerate(firsts)
        for number, second in enumerate(seconds)
    ]
    argnames = ["call", *names.split(", ")]
    indirect = [name for name in argnames if name in ("call", "kind", "http_client")]
    return pytest.mark.parametrize(argnames, cases, indirect=indirect)


def flat(value: Any) -> tuple[Any, ...]:
    """A tuple of it, unless it is one."""
    return value if isinstance(value, tuple) else (value,)


@pytest.fixture
def http_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A transport."""
    return use_transport(request.param, monkeypatch)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the service listens that quotes what it is sent."""
    with leaky_service() as port:
        yield port


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything is logged, and the canary is in none of it."""
    caplog.set_level(logging.DEBUG)
    yield
    records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    told = {
        (record.name, record.levelname, f"{record.pathname}:{record.lineno}") for record in records if tells(record)
    }
    assert told == set()


def tells(record: logging.LogRecord) -> bool:
    """Whether a handler could make the canary of a record: of its text, its traceback or its attributes."""
    return CANARY in logging.Formatter().format(record) + repr(vars(record))


def openai_at(address: str) -> dict[str, Any]:
    """The settings of an OpenAI provider whose every secret holds the canary."""
    options = {
        "base_url": f"{address}/v1",
        "api_key": f"sk-{CANARY}-key",
        "client": {"default_headers": {"X-Secret": f"{CANARY}-header"}, "organization": f"{CANARY}-organization"},
    }
    return {"BACKEND": "waldur_chat.providers.openai.OpenAIProvider", "OPTIONS": options}


def plain_openai_at(address: str) -> dict[str, Any]:
    """The same without options of the SDK's client, which aiohttp asks where it is installed."""
    entry = openai_at(address)
    return {**entry, "OPTIONS": {name: value for name, value in entry["OPTIONS"].items() if name != "client"}}


def langserve_at(address: str) -> dict[str, Any]:
    """The same of a LangServe provider."""
    options = {"url": f"{address}/stream?key={CANARY}-query", "token": f"{CANARY}-token"}
    return {"BACKEND": "waldur_chat.providers.langserve.LangServeProvider", "OPTIONS": options}


KINDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "openai": openai_at,
    "plain openai": plain_openai_at,
    "langserve": langserve_at,
}


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """The settings of a provider that holds secrets."""
    return KINDS[request.param]


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Set the default provider, beside prompts with the canary and short limits."""

    def configure(entry: Any, **own: Any) -> None:
        patience = {"FIRST_EVENT_SECONDS": 0.2 if "silence" in str(entry) and "an-answer" not in str(entry) else 5}
        settings.WALDUR_CHAT = {"PROVIDERS": {"default": entry}, **PROMPTS, **LIMITS, **patience, **own}

    return configure


def assert_nothing_is_told(*replies: Reply) -> None:
    assert not any(told_in(f"{reply.headers} {reply.body.decode('utf-8', 'replace')}") for reply in replies)


def told_in(text: str) -> list[str]:
    """Where the canary stands in a text."""
    return [text[max(0, match.start() - 60) : match.end() + 20] for match in re.finditer(CANARY, text)]


def ask_everything(call: Caller) -> list[Reply]:
    """All that a client can do."""
    return [call.stream(QUESTION, **HEADERS), call.invoke(QUESTION, **HEADERS), call.invoke(None, **HEADERS)]


@pairs("answer, kind, http_client", ANSWERS, PROVIDERS, by_turns=((0, 3), (1, 2)))
def test_no_answer_of_a_service_tells_a_secret(
    call: Caller, configure: Any, settings: Any, port: int, kind: Any, http_client: str, answer: str
) -> None:
    settings.DEBUG = True
    configure(kind(f"http://127.0.0.1:{port}/{http_client}-{CANARY}-path/answer={answer}"))
    replies = ask_everything(call)
    assert_nothing_is_told(*replies)
    assert {reply.status for reply in replies} <= {200, 422, 502, 503, 504}
    assert (replies[0].status == 200) == (
        answer.startswith("an-answer") or answer in ("half-an-answer", "an-endless-event")
    )


@pairs(
    "address, kind, http_client",
    [
        "http://{canary}.invalid",
        "http://127.0.0.1:{closed}/{canary}",
        "https://127.0.0.1:{port}/{canary}",
        "http://{canary}:{canary}@127.0.0.1:{closed}",
    ],
    PROVIDERS,
)
def test_no_connection_that_fails_tells_a_secret(
    call: Caller, configure: Any, port: int, kind: Any, http_client: str, address: str
) -> None:
    configure(kind(address.format(canary=CANARY, closed=free_port(), port=port)), FIRST_EVENT_SECONDS=2)
    replies = ask_everything(call)
    assert_nothing_is_told(*replies)
    assert {reply.status for reply in replies} <= {502, 503, 504}


@pairs("answer, kind, http_client", ["silence", "a-head-then-silence"], PROVIDERS)
def test_no_turn_that_is_stopped_tells_a_secret(
    call: Caller, configure: Any, port: int, kind: Any, http_client: str, answer: str
) -> None:
    def stop(turn: TurnRecord, **_: object) -> None:
        chat.cancel(turn.turn)

    configure(kind(f"http://127.0.0.1:{port}/{http_client}-{CANARY}/answer={answer}"))
    signals.turn_started.connect(stop)
    try:
        replies = ask_everything(call)
    finally:
        signals.turn_started.disconnect(stop)
    assert_nothing_is_told(*replies)
    assert [reply.status for reply in replies] == [409, 409, 409]


class Careless(Provider):
    """Raises the canary, with the canary in a variable, before or after it has begun."""

    def __init__(self, *, key: str, late: bool = False, error: type[Exception] = RuntimeError) -> None:
        self._key = key
        self._late = late
        self._error = error

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        secret = {"key": self._key, "prompt": prompt.messages[0].text}
        if self._late:
            yield Delta(text="Hello")
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise self._error(f"The key is {self._key}: {secret}") from error


@pairs("late, error", [False, True], [RuntimeError, ValueError, ImproperlyConfigured, OSError])
def test_no_exception_of_a_provider_tells_a_secret(call: Caller, configure: Any, late: bool, error: type) -> None:
    options = {"key": f"{CANARY}-key", "late": late, "error": error}
    configure({"BACKEND": f"{__name__}.Careless", "OPTIONS": options})
    replies = ask_everything(call)
    assert_nothing_is_told(*replies)
    assert [reply.status for reply in replies] == [200 if late else 502, 502, 502]


class Clumsy(Careless):
    """Cannot be made."""

    def __init__(self, *, key: str, error: type[Exception]) -> None:
        raise error(key) if error is not ValueError else ValueError(int(key))


WRONG = [
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": {"key": f"{CANARY}-key", "error": ValueError}},
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": {"key": f"{CANARY}-key", "error": KeyError}},
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": {"key": f"{CANARY}-key"}},
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": {"key": f"{CANARY}-key", "kee": CANARY}},
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": f"{CANARY}-key"},
    {"BACKEND": f"{__name__}.Clumsy", "OPTIONS": {}, "FALLBACK": [CANARY]},
    langserve_at(f"gopher://{CANARY}"),
    langserve_at(f"http://{CANARY}:99999"),
    {**langserve_at("http://x"), "OPTIONS": {"url": "http://x", "token": f"{CANARY}\n"}},
    {**langserve_at("http://x"), "OPTIONS": {"url": "http://x", "token": f"{CANARY}\u00e9"}},
    {**openai_at("http://x"), "OPTIONS": {"api_key": [CANARY]}},
    {**openai_at("http://x"), "OPTIONS": {"base_url": [CANARY]}},
    *(
        {**openai_at("http://x"), "OPTIONS": {"base_url": "http://127.0.0.1:9", "api_key": CANARY, "client": client}}
        for client in (
            CANARY,
            [CANARY],
            {"default_headers": CANARY},
            {"default_headers": {"X-Secret": f"{CANARY}\n"}},
            {"default_headers": {"X-Secret": f"{CANARY}\u00e9"}},
            {"default_headers": {"X-Secret": [CANARY]}},
            {"default_query": CANARY},
            {"timeout": CANARY},
            {"max_retries": CANARY},
            {"base_url": f"{CANARY} \x00"},
            {"http_client": CANARY},
            {"organization": {CANARY: 1}},
            {"azure_endpoint": f"{CANARY}", "azure_ad_token": CANARY},
            {"azure_endpoint": f"{CANARY}", "api_version": [CANARY]},
        )
    ),
]


@pairs("wrong, http_client", WRONG, ["aiohttp", "sdk"], by_turns=((0,), (1,)))
def test_no_setting_that_cannot_work_is_told(call: Caller, configure: Any, http_client: str, wrong: Any) -> None:
    configure(wrong)
    replies = ask_everything(call)
    assert_nothing_is_told(*replies)
    assert {reply.status for reply in replies} <= {409, 502, 503, 504}
    assert told_in(checked()) == []


@pairs("name", ["SYSTEM_PROMPT", "OPENING_PROMPT", "PROVIDERS", "ENABLED_ROLES", "STREAM_FORMAT", "TURN_SECONDS"])
def test_no_value_that_cannot_be_is_told(call: Caller, settings: Any, name: str) -> None:
    settings.WALDUR_CHAT = {name: [f"{CANARY}-value"]}
    assert_nothing_is_told(*ask_everything(call))
    assert told_in(checked()) == []


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_checks_tell_no_secret_of_settings_that_work(configure: Any, kind: Any) -> None:
    configure(kind(f"http://{CANARY}.example.com"))
    assert told_in(checked()) == []


def checked() -> str:
    """What our checks of `manage.py check --deploy` print."""
    every = registry.get_checks(include_deployment_checks=True)
    ours = [check for check in every if check.__module__.startswith("waldur_chat.")]
    return "\n".join(str(message) for check in ours for message in check(app_configs=None))


@pairs(
    "data, headers, debug",
    [
        (QUESTION, {"Authorization": f"Token {CANARY}"}),
        (QUESTION, {"Authorization": f"Token {CANARY} x"}),
        (QUESTION, {"Authorization": f"Basic {CANARY}"}),
        (QUESTION, {"Accept": "image/png"}),
        (f'{{"input": "{CANARY}'.encode(), {}),
        (f'{{"input": "{CANARY}\x00"}}'.encode(), {}),
        (f'{{"input": "{CANARY}'.encode() + b'\xff"}', {}),
        ({"input": CANARY + "x" * 50_000}, {}),
        ({"input": f"{CANARY}\x00"}, {}),
        ({"input": f"{CANARY}\ud800"}, {}),
        ({"input": [CANARY]}, {}),
        ({"input": {CANARY: CANARY}}, {}),
        ([CANARY], {}),
        (f'"{CANARY}"'.encode(), {}),
        ({"input": CANARY + "x" * 3_000_000}, {}),
    ],
    [False, True],
)
def test_no_refusal_tells_what_was_sent(
    call: Caller, configure: Any, settings: Any, data: Any, headers: dict[str, str], debug: bool
) -> None:
    settings.DEBUG = debug
    configure(openai_at("http://127.0.0.1:9"))
    sent = {**HEADERS, **headers}
    assert_nothing_is_told(call.stream(data, **sent), call.invoke(data, **sent))


@pytest.fixture
def every_kind(settings: Any) -> None:
    """A site with providers of all kinds."""
    providers = {name: kind(f"http://{CANARY}.example.com") for name, kind in KINDS.items()}
    settings.WALDUR_CHAT = {"PROVIDERS": {**providers, "default": providers["openai"]}, **PROMPTS}


@pytest.mark.usefixtures("every_kind")
@pytest.mark.parametrize(
    "path", ["/", "/api/schema/", "/api/docs/", "/admin/", "/admin/waldur_chat/", "/admin/waldur_chat/seat/"]
)
def test_no_page_tells_a_secret(admin_client: Client, path: str) -> None:
    response = admin_client.get(path)
    assert told_in(f"{response.headers} {response.content.decode()}") == []


@pytest.mark.usefixtures("every_kind")
def test_the_description_of_the_operations_tells_no_secret(admin_client: Client) -> None:
    for operation in ("invoke", "stream"):
        assert told_in(admin_client.options(f"/api/chat/{operation}/").content.decode()) == []


class Looking(Provider):
    """Looks, in the middle of a turn, at every object of ours there is."""

    seen: set[type] = set()
    telling: set[str] = set()

    def __init__(self, *, key: str) -> None:
        self._key = key

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        for one in gc.get_objects():
            if type(one).__module__.partition(".")[0] == "waldur_chat":
                self.seen.add(type(one))
                if CANARY in repr(one):
                    self.telling.add(type(one).__name__)
        yield Delta(text="Hello")


def test_the_repr_of_no_object_tells_a_secret(call: Caller, configure: Any) -> None:
    configure({"BACKEND": f"{__name__}.Looking", "OPTIONS": {"key": f"{CANARY}-key"}})
    ask_everything(call)
    assert {one.__name__ for one in Looking.seen} >= {
        "Settings",
        "ProviderSpec",
        "Prompt",
        "Turn",
        "PooledProvider",
        "ChatViewSet",
    }
    assert Looking.telling == set()


def failing_handler(error: Exception, context: dict[str, Any]) -> None:
    """An exception handler of a host with a bug, so that the error becomes a page of Django's."""
    raise LookupError("a bug")


@pairs("answer, kind", ["401", "no-JSON", "a-reset", "silence", "no-HTTP"], KINDS)
def test_the_frames_on_an_error_page_tell_no_secret(
    call: Caller, configure: Any, settings: Any, port: int, kind: Any, answer: str
) -> None:
    """It shows the variables where an error was raised, and where the errors were raised that led to it."""
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": f"{__name__}.failing_handler"}
    configure(kind(f"http://127.0.0.1:{port}/frames-{CANARY}/answer={answer}"))
    for send in (call.invoke, call.stream):
        with pytest.raises(LookupError) as raised:
            send(QUESTION)
        told = {
            f"{frame['filename']}:{frame['lineno']} {name}"
            for frame in ExceptionReporter(None, raised.type, raised.value, raised.tb).get_traceback_data()["frames"]
            for name, value in frame.get("vars", ())
            if CANARY in value
            and not any(part in frame["filename"] for part in ("/tests/", "/django/test/", "/asgiref/"))
        }
        assert told == set()
