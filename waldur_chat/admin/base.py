"""Base classes of our admin pages: lists of bounded cost, and no deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:  # Neither is generic at run time.
    AnyModelAdmin = admin.ModelAdmin
    AnyPaginator = Paginator


class BoundedPaginator(AnyPaginator):
    """Counts and shows the first rows only; users find others by searching."""

    ROWS = 2000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.ROWS].count())


class ChatModelAdmin(AnyModelAdmin):
    """Lists of bounded cost. Rows cannot be deleted here, but are deleted together with their user."""

    actions: Any = None
    paginator = BoundedPaginator
    list_per_page = 50
    show_full_result_count = False
    # Django 5.0 and newer would count the rows of each filter.
    show_facets: ClassVar[Any] = getattr(getattr(admin, "ShowFacets", None), "NEVER", None)
    uuid_field = ""
    """The field that is searched if the search term is a UUID."""
    user_field = ""
    """The relation to the user, whose name and email are searched."""

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        names = [get_user_model().USERNAME_FIELD, _email_field()]
        users = [f"{self.user_field}__{name}" for name in dict.fromkeys(names) if name and self.user_field]
        return [*users, *self.search_fields]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        uuid = _uuid(search_term) if self.uuid_field else None
        if uuid is None:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(**{self.uuid_field: uuid}), False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Deny deletion on our pages. The admin of users asks this too, for rows that would be deleted with a user."""
        route = request.resolver_match
        is_asked_here = route is not None and (route.url_name or "").startswith(f"{self.opts.app_label}_")
        return not is_asked_here and super().has_delete_permission(request, obj)


class ReadOnlyAdmin(ChatModelAdmin):
    """Rows that the admin shows, but does not change."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return flatten(self.fields or ())

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _email_field() -> str:
    """The email field of the user model; empty if it has none."""
    name = str(get_user_model().get_email_field_name())
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return ""
    return name


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
