"""The base of viewsets that serve rows of a table: one by its UUID, pages of many, and sparse fields."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from waldur_chat.api.request.pagination import HeaderPagination
from waldur_chat.api.request.query_params import requested_fields
from waldur_chat.api.serializers.fields import uuid_from
from waldur_chat.api.views.base import ChatAPIViewSet

M = TypeVar("M", bound=Model)


class ResourceViewSet(ChatAPIViewSet, GenericAPIView[Any]):
    """Rows with a `uuid`. A queryset decides which rows a user may see; all others are a 404."""

    lookup_field = "uuid"
    lookup_value_regex = "[^/]+"  # Matches anything, so that the 404 for an invalid UUID comes from the view, as JSON.
    filter_backends = []
    # `page_of` paginates. A class here would wrap lists in an object in the OpenAPI document.
    pagination_class = None

    def get_object(self) -> Any:
        """The row of the URL, if the user may read it. For DRF's metadata and subclasses. Raises `NotFound`."""
        return self.find(self.get_queryset())

    def find(self, rows: QuerySet[M]) -> M:
        """The row of the URL, out of these. Raises `NotFound`."""
        uuid = uuid_from(self.kwargs["uuid"])
        row: M | None = rows.filter(uuid=uuid).first() if uuid else None
        if row is None:
            raise NotFound
        self.check_object_permissions(self.request, row)
        return row

    def one(self, row: object, status: int = 200) -> Response:
        """The response with one row."""
        return Response(self.get_serializer(row).data, status)

    def page_of(self, rows: QuerySet[M]) -> Response:
        """The response with the requested page of these rows."""
        pages = HeaderPagination()
        page = pages.paginate_queryset(rows, self.request, view=self)
        return pages.get_paginated_response(self.get_serializer(page, many=True).data)

    def validated(self, serializer_class: Any = None) -> dict[str, Any]:
        """The validated body. Raises `ValidationError`."""
        make = serializer_class or self.get_serializer_class()
        serializer = make(data=self.request.data, context=super().get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def get_serializer_context(self) -> dict[str, Any]:
        """The context, with the requested fields for `SelectiveSerializer`."""
        context = dict(super().get_serializer_context())
        if self.request and self.request.method in ("GET", "HEAD"):  # Schema generators have no request.
            context["fields"] = requested_fields(self.request, self.get_serializer_class())
        return context
