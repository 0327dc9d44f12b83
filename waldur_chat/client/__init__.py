"""Asks a chat API from another process, and stays with an answer whatever breaks on the way.

    from waldur_chat.client import Client

    with Client("https://chat.example.com/api", token="...") as client:
        print(client.invoke("What is a VPC?"))

A connection that breaks in the middle of an answer is made anew, and the answer goes on at the very character.
It needs httpx, and neither Django nor settings.

What is asked and what becomes of the responses is decided without a socket, in `exchange` and `reader`; `sync` and
`aio` carry it.
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
from waldur_chat.events import Cancelled, Delta, Finished, Reasoning, Started, StoredMessages, Usage

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
    "StoredMessages",
    "Stream",
    "Unreachable",
    "Usage",
]
