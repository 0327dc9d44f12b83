"""Errors of limits: budgets, running turns, length and time."""

from __future__ import annotations

from collections.abc import Mapping

from waldur_chat.errors.base import ChatError


class BudgetExhausted(ChatError):
    """The tokens that the turn likely needs exceed the rest of the budget.

    `scope` is "user" or "site", `period` "daily", "weekly" or "monthly". `needed` are the tokens that the question
    likely needs without any history, `left` those that are left.
    """

    code = "budget_exhausted"
    status = 429
    sentence = (
        "This question needs about {needed} tokens, and {left} are left. "
        "Ask a shorter question, begin a new conversation, or try again later."
    )
    retryable = True

    def __init__(self, *, scope: str, period: str, limit: int, needed: int, left: int, retry_after: int) -> None:
        super().__init__(f"The {period} tokens of the {scope} do not suffice.", retry_after=retry_after)
        self.scope = scope
        self.period = period
        self.limit = limit
        self.needed = needed
        self.left = left

    @property
    def values(self) -> Mapping[str, object]:
        return {"needed": self.needed, "left": self.left}


class BudgetConflict(BudgetExhausted):
    """The same with the status that Waldur's own chat uses."""

    status = 409


class BudgetUsedUp(ChatError):
    """The budget has ended within a turn, before there was any text. Calls of tools and their results are kept."""

    code = "budget_used_up"
    status = 429
    sentence = "The tokens were used up before there was an answer. What was done until then is kept; try again later."
    retryable = True


class SiteThrottled(ChatError):
    """All users together have asked as many questions in this minute as the site allows."""

    code = "site_throttled"
    status = 429
    sentence = "Too many questions are being asked on this site. Try again in a minute."
    retryable = True


class TooManyTurns(ChatError):
    """This user has as many turns running as the site allows one user."""

    code = "too_many_turns"
    status = 429
    sentence = "You have too many answers running at once. Wait for one of them to end, or stop it."
    retryable = True


class ChatBusy(ChatError):
    """As many turns run as the process or the site allows, and there is no room or no time left in the queue."""

    code = "chat_busy"
    status = 503
    sentence = "Too many people are chatting right now. Try again in a moment."
    retryable = True


class AnswerTooLong(ChatError):
    """The answer is longer than the site allows: the provider ignores its token limit."""

    code = "answer_too_long"
    status = 502
    sentence = "The answer became too long and was ended."


class TurnTooLong(ChatError):
    """The whole turn took longer than the site allows."""

    code = "turn_too_long"
    status = 504
    sentence = "The answer took too long and was ended. Try a shorter question."
    retryable = True
