"""What viewsets share that serve rows of a table: one by its UUID, many in pages, and only the fields asked for."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.response import Response

from waldur_chat.api.request.pagination import HeaderPagination
from waldur_chat.api.request.query_params import fields_wanted
from waldur_chat.api.serializers.fields import uuid_from
from waldur_chat.api.views.base import ChatAPIViewSet

M = TypeVar("M", bound=Model)


class ResourceViewSet(ChatAPIViewSet, GenericAPIView[Any]):
    """Rows that have a `uuid`. Who may see which is a queryset's business; what it leaves out is a 404."""

    lookup_field = "uuid"
    lookup_value_regex = "[^/]+"  # What is no UUID reaches us, so that its 404 is JSON.
    filter_backends = []
    pagination_class = None  # `page_of` has one of its own, so that lists are bare arrays in the OpenAPI document too.

    def get_object(self) -> Any:
        """The row that the URL names, if the user may read it. DRF's metadata and sites ask so. Raises `NotFound`."""
        return self.find(self.get_queryset())

    def find(self, rows: QuerySet[M]) -> M:
        """The row that the URL names, out of these. Raises `NotFound`."""
        uuid = uuid_from(self.kwargs["uuid"])
        found: M | None = rows.filter(uuid=uuid).first() if uuid else None
        if found is None:
            raise NotFound
        self.check_object_permissions(self.request, found)
        return found

    def one(self, row: object, status: int = 200) -> Response:
        """The answer that shows one row."""
        return Response(self.get_serializer(row).data, status)

    def page_of(self, rows: QuerySet[M]) -> Response:
        """The answer that shows the page of these rows which the request wants."""
        pages = HeaderPagination()
        page = pages.paginate_queryset(rows, self.request, view=self)
        return pages.get_paginated_response(self.get_serializer(page, many=True).data)

    def validated(self, serializer_class: Any = None) -> dict[str, Any]:
        """What the body says. Raises `ValidationError`."""
        make = serializer_class or self.get_serializer_class()
        serializer = make(data=self.request.data, context=super().get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def get_serializer_context(self) -> dict[str, Any]:
        """See GenericAPIView.get_serializer_context(). Adds the fields that a reader asked for."""
        context = dict(super().get_serializer_context())
        if self.request and self.request.method in ("GET", "HEAD"):  # Generators of documents have none.
            context["fields"] = fields_wanted(self.request, self.get_serializer_class())
        return context
