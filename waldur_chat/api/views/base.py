"""The base of all views: access, JSON only, request ids, and errors with codes.

`resources` has the base of views that serve rows of a table.
"""

from __future__ import annotations

import logging
from inspect import isclass
from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.db import IntegrityError
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
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
from waldur_chat.errors import StorageFailed
from waldur_chat.store import sql

logger = logging.getLogger(__name__)


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

    host_user: Any = None

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
            # Called without Django's handler, as tests of a site call views. Nobody would render the response then.
            is_direct = request.resolver_match is None and not isinstance(request, ASGIRequest)
            return response.render() if is_direct else response
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

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        """Refuse the request; log why where no request can pass."""
        if not request.authenticators:
            logger.error("No user can be authenticated: DEFAULT_AUTHENTICATION_CLASSES of the site is empty.")
        super().permission_denied(request, message, code)

    def determine_version(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Determine the version, also from an `Accept` header with a format of a stream, which no renderer has."""
        if self.versioning_class and issubclass(self.versioning_class, AcceptHeaderVersioning):
            request.accepted_media_type = media_type_with_parameters(request) or request.accepted_media_type
        return super().determine_version(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Run all checks, before the body is read."""
        super().initial(request, *args, **kwargs)
        self.host_user = request.user
        if getattr(request.user, "pk", 0) is not None and not users.has_row(request.user):
            # A host may set None, a guest, or the user of a stateless token, whose key is that of a real user's rows.
            request.user = AnonymousUser()
        self.admit(request)
        check_length(request._request)

    @property
    def reader(self) -> Any:
        """Who acts, for the audit trail: the user, or somebody who impersonates them (`REQUEST_IMPERSONATOR`)."""
        return users.impersonator_of(self.request) or self.request.user

    def admit(self, request: Request) -> None:
        """Hook: raise if the user, who is authenticated by now, may not continue.

        `host_user` is the user as the host has authenticated them; `request.user` is anonymous if they are no row.
        """

    def handle_exception(self, exc: Exception) -> Response:
        """Convert the error to one of DRF's, and add a code to the host's response."""
        error = as_api_exception(AuthenticationFailed() if self._is_user_gone(exc) else exc)
        response = super().handle_exception(error)
        add_error_fields(response, error)
        self.refusal = error
        return response

    def _is_user_gone(self, error: Exception) -> bool:
        """Whether nothing could be written because the user was deleted after they were authenticated."""
        if not isinstance(error, (IntegrityError, StorageFailed)) or sql.database().in_atomic_block:
            return False
        return users.is_known(self.host_user) and not users.exists(self.host_user)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the request id and the limits to the headers, of errors too."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized[HEADER] = self.request_id
        for name, value in limit_headers(self.limits, self.refusal).items():
            finalized[name] = value
        self.refusal = None  # Its traceback refers to the view: a cycle.
        return finalized
