"""Client of the chat API for other processes; it resumes an answer after a broken connection.

    from waldur_chat.client import Client

    with Client("https://chat.example.com/api", token="...") as client:
        print(client.invoke("What is a VPC?"))

When a connection breaks during an answer, the client reconnects and continues at the same character.
It needs httpx, but neither Django nor settings.

The protocol is implemented without I/O in `exchange` and `reader`; `sync` and `aio` do the I/O.
"""

try:
    import httpx  # noqa: F401
except ImportError as error:
    raise ImportError('waldur_chat.client needs httpx: pip install "waldur_chat[client]"') from error

from waldur_chat.client.aio import AsyncClient, AsyncStream
from waldur_chat.client.answers import Answer, Event, Failed
from waldur_chat.client.errors import BrokenStream, ChatError, Unreachable
from waldur_chat.client.retry import Limits
from waldur_chat.client.sync import Client, Stream
from waldur_chat.events import (
    Cancelled,
    Delta,
    Finished,
    Reasoning,
    Started,
    Stored,
    StoredMessages,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncStream",
    "BrokenStream",
    "Cancelled",
    "ChatError",
    "Client",
    "Delta",
    "Event",
    "Failed",
    "Finished",
    "Limits",
    "Reasoning",
    "Started",
    "Stored",
    "StoredMessages",
    "Stream",
    "ToolAnswered",
    "ToolCalled",
    "Unreachable",
    "Usage",
    "Warned",
]
