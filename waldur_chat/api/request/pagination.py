"""Pagination in headers: a list is a bare array; `X-Result-Count` and `Link` (RFC 8288) have the rest."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

COUNT_HEADER = "X-Result-Count"


class HeaderPagination(PageNumberPagination):
    """Pages of 10 rows, or of `page_size` rows, at most 300. Page numbers start at 1."""

    page_size = 10
    page_size_query_param = "page_size"
    max_page_size = 300

    page: Page[Any]
    request: Request

    def get_page_size(self, request: Request) -> int | None:
        """The page size. DRF ignores a value that is not a number; here it raises `ValidationError`."""
        try:
            int(request.query_params.get(self.page_size_query_param) or self.page_size)
        except ValueError as error:
            raise ValidationError({self.page_size_query_param: [_("A valid integer is required.")]}) from error
        return super().get_page_size(request)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data, headers={COUNT_HEADER: str(self.page.paginator.count), "Link": self._links()})

    def _links(self) -> str:
        here, last = self.page.number, self.page.paginator.num_pages
        pages = {"first": 1, "prev": here - 1, "next": here + 1, "last": last}
        return ", ".join(f'<{self._url(page)}>; rel="{name}"' for name, page in pages.items() if 1 <= page <= last)

    def _url(self, page: int) -> str:
        return replace_query_param(self.request.build_absolute_uri(), self.page_query_param, page)
