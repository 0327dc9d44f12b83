"""Parameters of views as arguments: where they go, and what they are called."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest
from django.urls import include, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from waldur_chat.tools.views.description import _describe
from waldur_chat.tools.views.request import placed
from waldur_chat.tools.views.view_tool import ViewTool


class ItemSerializer(serializers.Serializer[Any]):
    """An item."""

    id = serializers.CharField(help_text="Its id.")
    tags = serializers.ListField(child=serializers.CharField(), required=False)


def item_views() -> Any:
    """A viewset, made under the settings of the test."""

    class ItemViewSet(GenericViewSet[Any]):
        """Items."""

        serializer_class = ItemSerializer
        queryset = None

        @extend_schema(
            parameters=[
                OpenApiParameter("ids", {"type": "array", "items": {"type": "integer"}}, explode=False),
                OpenApiParameter("states", OpenApiTypes.STR, many=True),
                OpenApiParameter("flag", OpenApiTypes.BOOL, required=True),
                OpenApiParameter("filter", OpenApiTypes.OBJECT),
                OpenApiParameter("X-Trace", OpenApiTypes.STR, OpenApiParameter.HEADER),
                OpenApiParameter("format", OpenApiTypes.STR),
            ],
            responses=ItemSerializer(many=True),
        )
        def list(self, request: Any) -> Response:
            """List them."""
            return Response([])

        @extend_schema(parameters=[OpenApiParameter("id", OpenApiTypes.STR), OpenApiParameter("id", str, "path")])
        def update(self, request: Any, **kwargs: Any) -> Response:
            """Change one."""
            return Response({})

        @extend_schema(request=ItemSerializer(many=True))
        def create(self, request: Any) -> Response:
            """Make many."""
            return Response([])

        def destroy(self, request: Any, **kwargs: Any) -> Response:
            """Take one away."""
            return Response()

    ItemViewSet.lookup_field = "id"
    return ItemViewSet


KINDS = ("drf_spectacular.openapi", "rest_framework.schemas.openapi", "rest_framework.schemas.coreapi")
"""Modules with a class for schemas. Newer releases of DRF have no longer the last one."""


@pytest.fixture(params=[kind for kind in KINDS if find_spec(kind)])
def host(request: pytest.FixtureRequest, settings: Any) -> None:
    """A host that documents its views by drf-spectacular, or by one of DRF's own classes."""
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": f"{request.param}.AutoSchema"}
    router = SimpleRouter()
    router.register("items", item_views(), basename="item")
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", include(router.urls))]})
    _describe.cache_clear()


def test_queries_are_as_the_view_wants_them(host: None) -> None:
    tool = ViewTool("item-list")
    assert tool.schema["required"] == ["flag"]
    assert list(tool.schema["properties"]) == ["filter", "flag", "ids", "states"]
    given = {"ids": [1, 2], "states": ["a", "b"], "flag": False, "filter": {"a": 1}}
    query = "ids=1%2C2&states=a&states=b&flag=false&filter=%7B%22a%22%3A+1%7D"
    assert placed(tool.parameters, given).query == query
    assert placed(tool.parameters, {"flag": True, "filter": None}).query == "flag=true"


def test_what_has_one_name_in_three_places_is_told_apart(host: None) -> None:
    tool = ViewTool("item-detail", "PUT")
    assert list(tool.schema["properties"]) == ["id", "query_id", "body_id", "tags"]
    sent = placed(tool.parameters, {"id": "a", "query_id": "b", "body_id": "c"})
    assert (sent.path, sent.query, json.loads(sent.body or b"")) == ({"id": "a"}, "id=b", {"id": "c"})


def test_a_body_that_is_no_object_is_one_argument(host: None) -> None:
    tool = ViewTool("item-list", "POST")
    assert tool.schema["properties"]["body"]["items"]["properties"]["id"] == {
        "type": "string",
        "minLength": 1,
        "description": "Its id.",
    }
    assert placed(tool.parameters, {"body": [{"id": "a"}]}).body == b'[{"id": "a"}]'


def test_what_has_no_body_is_sent_without_one(host: None) -> None:
    tool = ViewTool("item-detail", "DELETE")
    assert placed(tool.parameters, {"id": "a"}).body is None
    assert tool.description == "Take one away. (destroy)"
