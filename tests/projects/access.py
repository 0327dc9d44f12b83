"""Who may see and do what, spread over all the places that DRF has for it."""

from __future__ import annotations

from typing import Any

from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.throttling import UserRateThrottle


class OwnerFilter(BaseFilterBackend):
    """The filter is the permission, as in Waldur: staff see all, others their own."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset if request.user.is_staff else queryset.filter(owner=request.user)


class AddressFilter(BaseFilterBackend):
    """Projects of a network are shown in that network only."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset.filter(network__in=["", request.META["REMOTE_ADDR"]])


class StateFilter(BaseFilterBackend):
    """`?state=active`."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        states = request.query_params.getlist("state")
        return queryset.filter(state__in=states) if states else queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        states = {"type": "array", "items": {"type": "string", "enum": ["active", "frozen"]}}
        return [{"name": "state", "in": "query", "required": False, "schema": states, "description": "Only these."}]


class NotFrozen(BasePermission):
    """A frozen project is changed by staff only."""

    message = "The project is frozen."

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        return request.method in SAFE_METHODS or obj.state != "frozen" or request.user.is_staff


class Pages(PageNumberPagination):
    """Two on a page."""

    page_size = 2
    page_size_query_param = "page_size"
    max_page_size = 3


class Rate(UserRateThrottle):
    """A rate that tests look at."""

    scope = "projects"
    THROTTLE_RATES = {"projects": "1000/hour"}
