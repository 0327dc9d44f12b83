"""The views: the filter is the permission, `field` chooses the columns, pages are bare lists with headers."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.authentication import TokenAuthentication
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.serializers import Field, JSONField, Serializer
from rest_framework.viewsets import ViewSetMixin

from tests.marketplace.rows import ROWS

COMPUTED: set[str] = set()
"""The columns that were computed."""


class Column(JSONField):
    """A column, which notes that it was computed."""

    def get_attribute(self, instance: Any) -> Any:
        COMPUTED.add(str(self.field_name))
        return instance.get(self.field_name)


class Row(Serializer[Any]):
    """A row with the columns that `field` names; with all of them if it names none that is there."""

    def get_fields(self) -> dict[str, Field[Any, Any, Any, Any]]:
        view, request = self.context.get("view"), self.context.get("request")
        names = list(getattr(view, "columns", ()))
        asked = request.query_params.getlist("field") if request else []
        return {name: Column(required=False) for name in [one for one in names if one in asked] or names}


class RoleFilter(BaseFilterBackend):
    """Staff see all, others what is theirs or public."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        own = ("", request.user.get_username())
        return [row for row in queryset if request.user.is_staff or row["owner"] in own]


class ColumnFilters(BaseFilterBackend):
    """`?state=OK&state=Erred`, and `?query=` in names. It documents `field`, too."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        words = request.query_params.get("query", "").lower()
        rows = [row for row in queryset if words in str(row.get("name", "")).lower()]
        for name in view.filters:
            values = request.query_params.getlist(name)
            rows = [row for row in rows if not values or name == "query" or str(row.get(name)) in values]
        return rows

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        text = {"type": "string"}
        many = {"type": "array", "items": text}
        schemas = {name: many if name in ("state", "type") else text for name in view.filters}
        schemas["field"] = {"type": "array", "items": {**text, "enum": list(view.columns)}}
        return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()]


class LinkHeaderPages(PageNumberPagination):
    """The number of all rows and the links are in headers."""

    page_size = 10
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_paginated_response(self, data: Any) -> Response:
        assert self.page
        assert self.request
        links = [f'<{self.request.build_absolute_uri()}>; rel="first"']
        if following := self.get_next_link():
            links.append(f'<{following}>; rel="next"')
        return Response(data, headers={"X-Result-Count": str(self.page.paginator.count), "Link": ", ".join(links)})

    def get_paginated_response_schema(self, schema: Any) -> Any:
        return schema


class RowViewSet(ViewSetMixin, GenericAPIView[Any]):
    """A list and its rows."""

    name_of_rows = ""
    columns: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    serializer_class = Row
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]
    filter_backends = [RoleFilter, ColumnFilters]
    pagination_class = LinkHeaderPages
    lookup_field = "uuid"

    def get_queryset(self) -> Any:
        return ROWS[self.name_of_rows]

    def list(self, request: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Any, uuid: str) -> Response:
        found = [row for row in self.filter_queryset(self.get_queryset()) if row["uuid"] == uuid]
        if not found:
            raise Http404
        return Response(self.get_serializer(found[0]).data)


def viewset(name: str, columns: str, filters: str = "") -> Any:
    """The viewset of these rows. Rows without an owner are for everybody."""
    is_public = all(not row["owner"] for row in ROWS[name])
    members = {
        "__doc__": f"Rows of {name}.",
        "name_of_rows": name,
        "columns": ("uuid", *columns.split()),
        "filters": tuple(filters.split()),
        "permission_classes": [AllowAny if is_public and name != "event" else IsAuthenticated],
    }
    return type(f"{name.title().replace('-', '')}ViewSet", (RowViewSet,), members)
