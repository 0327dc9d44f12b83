"""A LangServe service as somebody would write it: a chat model, and beside it two that are special."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import repeat

from fastapi import Depends, FastAPI, Header, HTTPException
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableGenerator
from langserve import add_routes


def check_token(authorization: str = Header(default="")) -> None:
    """Answer 401 without the token."""
    if authorization != "Token t":
        raise HTTPException(401)


async def count(inputs: AsyncIterator[str]) -> AsyncIterator[AIMessageChunk]:
    """Say what was asked, and how many tokens that took."""
    question = "".join([part async for part in inputs])
    yield AIMessageChunk(content=question)
    yield AIMessageChunk(content="", usage_metadata={"input_tokens": 2, "output_tokens": 3, "total_tokens": 5})


async def fail(inputs: AsyncIterator[str]) -> AsyncIterator[AIMessageChunk]:
    """Break off in the middle of the answer."""
    yield AIMessageChunk(content="Hello ")
    raise RuntimeError("The model has gone.")


app = FastAPI()
model = GenericFakeChatModel(messages=repeat(AIMessage("Hello from LangServe")))
add_routes(app, model, path="/chat", dependencies=[Depends(check_token)])
add_routes(app, RunnableGenerator(count).with_types(input_type=str), path="/counting")
add_routes(app, RunnableGenerator(fail).with_types(input_type=str), path="/failing")
