"""The metrics, in the default registry of prometheus_client. Importing this module creates them.

No label has a user, a conversation, an address or free text. Providers and tools are those of the site, codes those of
`errors`; models are capped by the observer.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SERVICE = ["provider", "model"]
_WHOLE = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_FIRST = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60)
_GAPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_OWN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

TURNS = Counter(
    "waldur_chat_turns_total",
    "Turns that have ended, by how.",
    ["purpose", *_SERVICE, "outcome", "code"],
)
ATTEMPTS = Counter(
    "waldur_chat_attempts_total",
    "Requests to providers that turns made until one began to answer; the code is that of their error.",
    ["provider", "code"],
)
TOKENS = Counter(
    "waldur_chat_tokens_total",
    "Tokens of turns, of input and output, and whether the provider has reported them.",
    ["purpose", *_SERVICE, "kind", "estimated"],
)
TURN_SECONDS = Histogram(
    "waldur_chat_turn_seconds", "Seconds from the beginning of a turn to its end.", _SERVICE, buckets=_WHOLE
)
FIRST_TOKEN_SECONDS = Histogram(
    "waldur_chat_first_token_seconds",
    "Seconds from the beginning of a turn to the first text, thought or call of its answer.",
    _SERVICE,
    buckets=_FIRST,
)
MEAN_GAP_SECONDS = Histogram(
    "waldur_chat_mean_gap_seconds", "Mean seconds between two pieces of an answer.", _SERVICE, buckets=_GAPS
)
LONGEST_GAP_SECONDS = Histogram(
    "waldur_chat_longest_gap_seconds", "Most seconds between two pieces of an answer.", _SERVICE, buckets=_GAPS
)
OWN_SECONDS = Histogram(
    "waldur_chat_own_seconds",
    "Seconds of a turn that were not spent waiting for room, provider, tools or reader.",
    buckets=_OWN,
)
RUNNING = Gauge("waldur_chat_running_turns", "Turns that have room.", multiprocess_mode="livesum")
WAITING = Gauge("waldur_chat_waiting_turns", "Turns that wait for room.", multiprocess_mode="livesum")
REFUSED = Counter("waldur_chat_refused_total", "Questions that were refused before they became a turn.", ["code"])
BUDGET_REFUSALS = Counter(
    "waldur_chat_budget_refusals_total", "Questions for which no tokens were left.", ["scope", "period"]
)
TOOL_CALLS = Counter("waldur_chat_tool_calls_total", "Calls of tools that have ended.", ["tool", "outcome"])
TOOL_SECONDS = Histogram("waldur_chat_tool_seconds", "Seconds that a call of a tool ran.", ["tool"], buckets=_WHOLE)
REJOINED = Counter(
    "waldur_chat_rejoined_streams_total", "Further readers of turns, by where the turn was found.", ["source"]
)
OPEN_BREAKERS = Gauge(
    "waldur_chat_open_breakers",
    "Circuit breakers that are open, one for each process and event loop.",
    ["provider"],
    multiprocess_mode="livesum",
)
