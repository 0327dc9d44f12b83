"""The base of all views: access, JSON only, request ids, and errors with codes.

`resources` has the base of views that serve rows of a table.
"""

from __future__ import annotations

from inspect import isclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.versioning import AcceptHeaderVersioning
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from waldur_chat import users
from waldur_chat.api.exceptions import add_error_fields, as_api_exception
from waldur_chat.api.openapi.inspector import ViewSchema
from waldur_chat.api.request import auth
from waldur_chat.api.request.negotiation import JSONOnly, media_type_with_parameters
from waldur_chat.api.request.parsers import BoundedJSONParser, check_length
from waldur_chat.api.request.request_id import HEADER, request_id
from waldur_chat.api.request.throttles import Limit, limit_headers
from waldur_chat.api.responses.deferred import DeferredResponse


class ChatAPIViewSet(ViewSetMixin, APIView):
    """A viewset of this API. It checks the user, then `admit`, then that the length of the body is known.

    A subclass, an action or `as_view()` can replace its classes, as everywhere in DRF. The format suffix that routers
    may pass (`stream.json`) is ignored, since `Accept` decides.
    """

    authentication_classes = auth.AUTHENTICATION
    permission_classes = auth.PERMISSIONS
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = JSONOnly
    metadata_class = auth.metadata_class()
    schema = ViewSchema()

    def __init__(self, **options: Any) -> None:
        """Ignore the schema class that `extend_schema` has set on an action, which routers pass as an option.

        drf-spectacular takes it from the action itself. DRF's generators would call it unbound
        (`view.schema.get_operation`), and it would keep a reference to each request.
        """
        if isclass(options.get("schema")):
            del options["schema"]
        super().__init__(**options)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        self.request_id = request_id(request)
        self.limits: list[Limit] = []
        self.refusal: Exception | None = None
        return super().initialize_request(request, *args, **kwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, DeferredResponse):
            # DRF stores the response on the view, and a deferred one refers to the view. Without the cycle, a response
            # that Django drops is freed at once, and with it its turn: see `DeferredResponse.__del__()`.
            del self.response
        return response

    def get_authenticators(self) -> list[BaseAuthentication]:
        """The authenticators of the host's settings, unless the view has classes of its own."""
        if self.authentication_classes is auth.AUTHENTICATION:
            return [make() for make in auth.authentication_classes()]
        return list(super().get_authenticators())

    def get_permissions(self) -> list[Any]:
        if self.permission_classes is auth.PERMISSIONS:
            return [make() for make in auth.permission_classes()]
        return list(super().get_permissions())

    def determine_version(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Determine the version, also from an `Accept` header with a format of a stream, which no renderer has."""
        if self.versioning_class and issubclass(self.versioning_class, AcceptHeaderVersioning):
            request.accepted_media_type = media_type_with_parameters(request) or request.accepted_media_type
        return super().determine_version(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Run all checks, before the body is read."""
        super().initial(request, *args, **kwargs)
        if not users.is_known(request.user) and getattr(request.user, "pk", 0) is not None:
            # A host may set None, or a guest user whose key is that of a real user's rows.
            request.user = AnonymousUser()
        self.admit(request)
        check_length(request._request)

    def admit(self, request: Request) -> None:
        """Hook: raise if the user, who is authenticated by now, may not continue."""

    def handle_exception(self, exc: Exception) -> Response:
        """Convert the error to one of DRF's, and add a code to the host's response."""
        error = as_api_exception(exc)
        response = super().handle_exception(error)
        add_error_fields(response, error)
        self.refusal = error
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the request id and the limits to the headers, of errors too."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized[HEADER] = self.request_id
        for name, value in limit_headers(self.limits, self.refusal).items():
            finalized[name] = value
        self.refusal = None  # Its traceback refers to the view: a cycle.
        return finalized
