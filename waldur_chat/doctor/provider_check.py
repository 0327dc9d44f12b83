"""Asks each of the site's own providers one small question, in this process, and for a call where there are tools."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import chat, registry
from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.doctor import tool_check
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.errors import (
    ChatError,
    ChatNotConfigured,
    ProviderConnectTooSlow,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderUnreachable,
)
from waldur_chat.events import Event, Usage
from waldur_chat.messages import Question
from waldur_chat.providers.transport.choice import Choice
from waldur_chat.runtime.loop import background_loop
from waldur_chat.turns.tools.offering import has_tools

QUESTION = "Answer with the word OK."
_ENVIRONMENT = {"base_url": "OPENAI_BASE_URL", "api_key": "OPENAI_API_KEY", "model": "WALDUR_CHAT_MODEL"}
_CONSTANCE = {
    "base_url": "AI_ASSISTANT_API_URL",
    "api_key": "AI_ASSISTANT_API_TOKEN",
    "model": "AI_ASSISTANT_MODEL",
    "completion": "AI_ASSISTANT_COMPLETION_KWARGS",
}


def check_providers(settings: Settings) -> list[Finding]:
    """Check every provider of the site's chain."""
    if not settings.chain:
        return [make_finding("chat_not_configured", "There is no default provider.")]
    return [finding for spec in settings.chain for finding in _check_provider(settings, spec)]


def transports(settings: Settings) -> str:
    """The transport by which this process reaches each of these providers, and why; empty where none says."""
    return "; ".join(f"{spec.name} by {choice}" for spec in settings.chain if (choice := _transport(spec)))


def _transport(spec: ProviderSpec) -> Choice | None:
    """None for one that cannot be made, too: asking it names what is wrong."""
    with suppress(ImproperlyConfigured):
        return registry.build(spec).transport_choice()
    return None


def _check_provider(settings: Settings, spec: ProviderSpec) -> list[Finding]:
    usage, error, cause = _answer(settings, spec)
    values = {"name": spec.name, **_settings_of(spec)}
    if error is None:
        is_known = usage is not None and not usage.estimated
        found = [] if is_known else [make_finding("usage_missing", f"{spec.name}: an answer without usage", **values)]
        return found + (tool_check.check_tools(settings, spec, values) if has_tools(settings) else [])
    address = _address(settings, spec) if _may_be_elsewhere(error) else ""
    seen = f"{spec.name}: {error.code}: {cause}"
    return [make_finding("provider_address" if address else _kind(error), seen, address=address, **values)]


def _answer(settings: Settings, spec: ProviderSpec) -> tuple[Usage | None, ChatError | None, str]:
    """Ask this provider alone, once. Returns its usage, or its error with the cause that is logged."""
    alone = replace(settings, providers={"default": replace(spec, fallback="")}, attempts=1)
    turn = chat.prepare(Question(text=QUESTION), alone)
    turn.start(background_loop())
    events: list[Event] = []
    try:
        while not chat.ended(events):
            events += turn.take_blocking()
        return chat.collect(events).usage, None, ""
    except ChatError as error:
        return None, error, turn.record.cause
    finally:
        turn.cancel()


def _kind(error: ChatError) -> str:
    match error:
        case ProviderRefused(provider_status=401 | 403) | ProviderRefused(about="key"):
            return "key_wrong"
        case ProviderRefused(provider_status=404 | 405) | ProviderRefused(about="model"):
            return "model_missing"
        case ProviderRefused() | ProviderRefusedQuestion():  # No service has reason to refuse this question.
            return "provider_refused"
        case ProviderUnreachable() | ProviderConnectTooSlow():
            return "provider_unreachable"
        case ChatNotConfigured():
            return "chat_not_configured"
        case _:
            return "provider_failing"


def _may_be_elsewhere(error: ChatError) -> bool:
    """Whether a service answers like this at a wrong path: not found, or an HTML page in place of a stream."""
    is_missing = isinstance(error, ProviderRefused) and error.provider_status in (404, 405)
    return is_missing or isinstance(error, (ProviderFailed, ProviderIncomplete))


def _address(settings: Settings, spec: ProviderSpec) -> str:
    """The base URL with the usual `/v1` if the same service answers there; else empty."""
    given = str(spec.options.get("base_url", "")).rstrip("/")
    if not given or given.endswith("/v1"):
        return ""
    elsewhere = replace(spec, options={**spec.options, "base_url": f"{given}/v1"})
    _, error, _ = _answer(settings, elsewhere)
    return "" if error else f"{given}/v1"


def _settings_of(spec: ProviderSpec) -> Mapping[str, str]:
    """The place where each option is set: the settings, the environment or constance."""
    names = {"the environment": _ENVIRONMENT, "constance": _CONSTANCE}.get(spec.place.partition("[")[0], {})
    options = ("base_url", "api_key", "model", "completion", "stream_options", "tools", "calls_in_text")
    return {option: names.get(option, f'{spec.place}["OPTIONS"]["{option}"]') for option in options}
