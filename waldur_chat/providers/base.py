"""The base class of providers: a subclass has one method, an async generator of events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from typing import ClassVar

from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.transport.choice import Choice


class Provider(ABC):
    """Sends prompts to a model service and yields its events.

    The keyword arguments of `__init__` are the OPTIONS of the settings; for a wrong value it raises
    `ImproperlyConfigured`. `__init__` runs in checks and once for every event loop, so it opens nothing and imports
    nothing heavy. An instance serves many turns at once, all on one event loop, which may not run yet at `__init__`.
    """

    model = ""
    """The name of the model, for the log; empty if there is none."""

    max_output_tokens: int | None = None
    """The most tokens that an answer can have; None if no limit is known."""

    context_tokens: int | None = None
    """The most tokens that prompt and answer can have together; None if it is not known. Longer histories are cut."""

    supports_tools: bool = False
    """Whether prompts may offer tools and hold calls and their results. Others get `Prompt.without_calls()`."""

    supports_json_schema: bool = False
    """Whether prompts may have an `answer_schema`. For others it stands in the system prompt."""

    writes_titles: ClassVar[bool] = True
    """Whether it can write the title of a conversation. Otherwise the first words of the question are the title."""

    @abstractmethod
    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """Answer the prompt: yield `Delta`, `Reasoning`, `Usage` and `Stopped` as they arrive, then return.

        Where the prompt offers tools, yield a whole `CallRequested` for each call that the model asks for.
        Returning means that the answer is complete; every failure raises a `ChatError`. If the turn is stopped, the
        generator is closed at whatever `await` it waits. It must then close what it has opened, in `finally` or
        `async with`.
        """

    def transport_choice(self) -> Choice | None:
        """The transport to the service and the reason for it, for the doctor; None if there is no choice."""
        return None

    async def aclose(self) -> None:
        """Close what is kept between turns, as connections. Called once, when no turn uses the provider any more."""

    def __repr__(self) -> str:
        """The class only, since options contain keys and addresses."""
        return f"<{type(self).__name__}>"
