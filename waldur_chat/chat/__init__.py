"""The Python API: call the site's model from a view, a task or a command.

    from waldur_chat import chat

    answer = chat.invoke("What is a VPC?")          # an Answer; await chat.ainvoke(...) in asynchronous code
    for event in chat.stream("What is a VPC?"):     # events; async for ... in chat.astream(...)
        ...

It applies the site's settings, but none of its switches: the caller decides whether a user may chat.
"""

from waldur_chat.chat.answers import Answer, AnsweredCall, collect, ended
from waldur_chat.chat.asking import ainvoke, astream, invoke, load, open_turn, prepare, stream
from waldur_chat.turns.cancel import cancel_thread
from waldur_chat.turns.cancel import cancel_turn as cancel

__all__ = [
    "Answer",
    "AnsweredCall",
    "ainvoke",
    "astream",
    "cancel",
    "cancel_thread",
    "collect",
    "ended",
    "invoke",
    "load",
    "open_turn",
    "prepare",
    "stream",
]
