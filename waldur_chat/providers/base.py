"""What every provider is: a class with one asynchronous generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import ClassVar

from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.transport.choice import Choice


class Provider(ABC):
    """Answers prompts.

    The keyword arguments of `__init__` are the OPTIONS of the settings; a wrong value raises `ImproperlyConfigured`
    there. `__init__` runs in checks and on every loop that asks the provider, so it opens nothing and imports nothing
    heavy. One instance serves many turns at once, all on one event loop, which need not be running at `__init__`.
    """

    model = ""
    """What is asked, for the log; empty where there is no such thing."""

    max_output_tokens: int | None = None
    """The most that an answer can have; None where nothing is known of a limit."""

    writes_titles: ClassVar[bool] = True
    """Whether it can be asked for the title of a conversation; else the first words of the question are taken."""

    @abstractmethod
    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """Answer the prompt: yield `Delta`, `Reasoning`, `Usage` and `Stopped` as they come, then return.

        Returning means that the answer is complete; whatever is wrong raises a `ChatError`. The generator is closed
        when the turn is stopped, at whatever `await` it stands: what it opened it must close then, in `finally` or
        `async with`.
        """

    def transport_choice(self) -> Choice | None:
        """By what it reaches its service, and why, for the doctor; None where there is no such choice."""
        return None

    async def aclose(self) -> None:
        """Give back what was kept between turns (connections). Called once, when no turn uses the provider."""

    def __repr__(self) -> str:
        """The class alone: options hold keys and addresses."""
        return f"<{type(self).__name__}>"
