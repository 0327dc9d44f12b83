"""How far a turn may write its answer before its reservation of tokens must grow."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress

from waldur_chat.engine.lifecycle import GRANT_SECONDS
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.engine.wakeup import Wakeup
from waldur_chat.events import MOST_TOKENS
from waldur_chat.messages import Prompt
from waldur_chat.text_size import tokens_in, total_size

MOST_BYTES_PER_TOKEN = 6
"""An answer of more bytes for each token that it may have is certainly too long: its provider ignores the limit."""


def _likely_input(prompt: Prompt) -> int:
    return tokens_in(total_size(prompt.counted))


class OutputAllowance:
    """The reservation of one turn, as far as the turn must know it.

    The turn uses it on its event loop; `wanted()` and `grant()` are called from any thread. `request()` asks for a
    larger reservation; it is called on the event loop and must not wait. `input_tokens` are those that the prompt
    likely has, and `bytes_per_token` estimates the answer, both as long as the provider has not reported them. A
    reservation of `most` tokens covers any answer, since the provider stops it there; None if it does not.

    All rounds together may have `room` tokens. A provider stops each later answer at `output_limit`; `input_estimate`
    estimates its prompt.
    """

    def __init__(
        self,
        counter: UsageCounter,
        request: Callable[[], None],
        *,
        reserved: int,
        input_tokens: int,
        bytes_per_token: float,
        most: int | None,
        room: int = MOST_TOKENS,
        output_limit: int = MOST_TOKENS,
        input_estimate: Callable[[Prompt], int] = _likely_input,
    ) -> None:
        self.reserved = reserved
        """The tokens that are reserved."""
        self.counter = counter
        self._request = request
        self._input_tokens = input_tokens
        self._bytes_per_token = bytes_per_token
        self._most = most
        self._room = room
        self._output_limit = output_limit
        self._input_estimate = input_estimate
        self._loop = asyncio.get_running_loop()
        self._wakeup = Wakeup()
        self._is_waiting = False
        self._is_answered = False
        self._is_last = False
        self._credit = 0

    @property
    def used(self) -> int:
        """The tokens of the turn so far; likely or reported."""
        return self.counter.likely_tokens(self._input_tokens, self._bytes_per_token)

    def begin_round(self, prompt: Prompt) -> int:
        """Count this prompt, too. Returns the most tokens that its answer may have; below 1 if nothing is left."""
        self._input_tokens = self._input_estimate(prompt)
        limit = min(self._room - self.used, self._output_limit)
        if self._most is not None:
            self._most = self.used + max(limit, 0)
        self._credit = 0
        return limit

    def wanted(self, margin: Callable[[int], int]) -> int | None:
        """The reservation that the turn should have, given the margin for so many used tokens; None if it has it.

        It has it as long as half of the margin is left, and not more than twice of it.
        """
        used = self.used
        more = margin(used)
        wanted = min(used + more, MOST_TOKENS if self._most is None else self._most)
        is_enough = self.reserved >= min(wanted, used + more // 2)
        return None if is_enough and self.reserved <= used + 2 * more else wanted

    def grant(self, reserved: int, *, is_last: bool = False) -> None:
        """Tell the turn its new reservation, and whether waiting for more is useless."""
        self.reserved = reserved
        self._is_last, self._is_answered = is_last, True
        if self._is_waiting:
            with suppress(RuntimeError):  # A closed loop has ended all its turns.
                self._loop.call_soon_threadsafe(self._wakeup.wake)

    def is_used_up(self) -> bool:
        """Whether the turn must call `grown()` before it continues."""
        held = max(self.reserved, self._credit)
        return self._is_ignored() if self._most is not None and held >= self._most else self.used >= held

    def left_bytes(self) -> float:
        """How many bytes of text may be written before that; infinite if the provider stops the answer in time."""
        held = max(self.reserved, self._credit)
        if self._most is not None and held >= self._most:
            return math.inf
        return max(0, held - self.used) * self._bytes_per_token

    async def grown(self) -> bool:
        """Wait for a larger reservation. False if there is none: nothing is left, and the answer must end.

        What other turns hold may be released in the meantime.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + GRANT_SECONDS
        self._is_waiting, self._is_answered = True, False
        self._request()
        while (is_used_up := self.is_used_up()) and not self._must_end() and clock() < end:
            await self._wakeup.wait(end - clock())
        self._is_waiting = False
        self._wakeup.close()
        if is_used_up and (self._is_answered or self._is_ignored()):
            return False
        if is_used_up:
            self._credit = 2 * self.used
        return True

    def _must_end(self) -> bool:
        return (self._is_answered and self._is_last) or self._is_ignored()

    def _is_ignored(self) -> bool:
        """Whether the provider ignores the limit of the answer."""
        return (
            self._most is not None and self.counter.likely_tokens(self._input_tokens, MOST_BYTES_PER_TOKEN) > self._most
        )
