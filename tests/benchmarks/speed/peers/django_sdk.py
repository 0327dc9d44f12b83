"""Django, DRF and the openai SDK's objects, as an application would write it: under ASGI and under WSGI."""

import json
from collections.abc import AsyncIterator, Iterator

import django_host
import openai
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import path

django_host.configure(__name__, django_host.MIDDLEWARE)

from django.http import StreamingHttpResponse  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

asynchronous = openai.AsyncOpenAI(api_key="sk-test")
synchronous = openai.OpenAI(api_key="sk-test")


class QuestionSerializer(serializers.Serializer):
    input = serializers.CharField()


class ChatView(APIView):
    def question(self, request):
        serializer = QuestionSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return [{"role": "user", "content": serializer.validated_data["input"]}]


class StreamView(ChatView):
    def post(self, request):
        is_asynchronous = hasattr(request._request, "scope")
        answer = (asynchronous_answer if is_asynchronous else synchronous_answer)(self.question(request))
        return StreamingHttpResponse(answer, content_type="text/event-stream")


class NothingView(ChatView):
    """What a request costs that asks no model."""

    def post(self, request):
        self.question(request)
        return StreamingHttpResponse(nothing(), content_type="text/event-stream")


async def nothing() -> AsyncIterator[str]:
    yield "w0 "


class InvokeView(ChatView):
    def post(self, request):
        answer = synchronous.chat.completions.create(model="m", messages=self.question(request))
        return Response(answer.choices[0].message.content)


async def asynchronous_answer(messages) -> AsyncIterator[str]:
    async for chunk in await asynchronous.chat.completions.create(model="m", messages=messages, stream=True):
        yield event(chunk)


def synchronous_answer(messages) -> Iterator[str]:
    for chunk in synchronous.chat.completions.create(model="m", messages=messages, stream=True):
        yield event(chunk)


def event(chunk) -> str:
    if chunk.choices and chunk.choices[0].delta.content:
        return f"data: {json.dumps({'content': chunk.choices[0].delta.content})}\n\n"
    return ""


urlpatterns = [
    path("nothing", NothingView.as_view()),
    path("stream", StreamView.as_view()),
    path("invoke", InvokeView.as_view()),
]
asgi, wsgi = get_asgi_application(), get_wsgi_application()
