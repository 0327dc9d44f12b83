"""Who sees and does what in the catalogue. Tools know nothing of it: they call the views, which ask here."""

from __future__ import annotations

from typing import Any

from rest_framework.filters import BaseFilterBackend
from rest_framework.permissions import BasePermission
from rest_framework.throttling import UserRateThrottle


class OwnerFilter(BaseFilterBackend):
    """The filter is the permission, as in Waldur: staff see all, others what is theirs."""

    def filter_queryset(self, request: Any, queryset: Any, view: Any) -> Any:
        return queryset if request.user.is_staff else queryset.filter(**{view.owner_field: request.user})


class ProjectIsOpen(BasePermission):
    """What belongs to a closed project is changed by staff only."""

    message = "The project is closed."

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        project = getattr(obj, "project", obj)
        return request.method == "GET" or request.user.is_staff or not project.is_closed


class CatalogueRate(UserRateThrottle):
    """Calls of tools count as requests do."""

    scope = "catalogue"
    THROTTLE_RATES = {"catalogue": "120/min"}
