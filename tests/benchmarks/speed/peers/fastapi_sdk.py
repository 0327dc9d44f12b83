"""FastAPI and the openai SDK's objects."""

import json
from collections.abc import AsyncIterator

import openai
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

client = openai.AsyncOpenAI(api_key="sk-test")
app = FastAPI()


class Question(BaseModel):
    input: str


@app.post("/stream")
async def stream(question: Question) -> StreamingResponse:
    return StreamingResponse(answer(question.input), media_type="text/event-stream")


async def answer(question: str) -> AsyncIterator[str]:
    messages = [{"role": "user", "content": question}]
    async for chunk in await client.chat.completions.create(model="m", messages=messages, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps({'content': chunk.choices[0].delta.content})}\n\n"
