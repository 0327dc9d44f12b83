"""Plain text, for people."""

from __future__ import annotations

from tests.unit.test_encoders import EVENTS
from waldur_chat.errors import ProviderBusy, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Failed, Finished, Reasoning, Started
from waldur_chat.wire.text import TextEncoder


def encode(*events: type) -> str:
    return b"".join(TextEncoder().encode(1, EVENTS[event]) for event in events).decode()


def test_only_the_words_of_a_whole_answer_are_shown() -> None:
    assert encode(Started, Reasoning, Delta, Delta, Finished) == "Grüße 🙂Grüße 🙂"


def test_a_stopped_answer_ends_with_a_line_that_says_so() -> None:
    assert encode(Delta, Cancelled) == f"Grüße 🙂\n[cancelled] {TurnCancelled.sentence}\n"


def test_a_failed_answer_ends_with_a_line_that_says_so() -> None:
    shown = TextEncoder().encode(2, Failed(error=ProviderBusy(), usage=None)).decode()
    assert shown == f"\n[provider_busy] {ProviderBusy.sentence}\n"


def test_no_keep_alive_gets_between_the_words() -> None:
    assert TextEncoder.keep_alive == b""
