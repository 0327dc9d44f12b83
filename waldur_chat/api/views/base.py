"""What every view of the API has: who may call, JSON and nothing else, ids of requests, errors with codes.

Views that serve rows of a table stand in `resources`.
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
from waldur_chat.api.exceptions import as_api_exception, complete
from waldur_chat.api.openapi.inspector import ViewSchema
from waldur_chat.api.request import auth
from waldur_chat.api.request.negotiation import JSONOnly, media_type_with_parameters
from waldur_chat.api.request.parsers import BoundedJSONParser, check_length
from waldur_chat.api.request.request_id import HEADER, request_id
from waldur_chat.api.request.throttles import Limit, limit_headers
from waldur_chat.api.responses.deferred import DeferredResponse


class ChatAPIViewSet(ViewSetMixin, APIView):
    """A viewset of this API. The user is checked first, then what `admit` asks for, then whether the body has a length.

    Its classes are as in DRF: what a subclass, an action or `as_view()` puts in their place wins. Routers may hand over
    the suffix of a format (`stream.json`); it says nothing that `Accept` does not say.
    """

    authentication_classes = auth.AUTHENTICATION
    permission_classes = auth.PERMISSIONS
    renderer_classes = [JSONRenderer]
    parser_classes = [BoundedJSONParser]
    content_negotiation_class = JSONOnly
    metadata_class = auth.metadata_class()
    schema = ViewSchema()

    def __init__(self, **options: Any) -> None:
        """Leave out the schema of an action that `extend_schema` has made, of which routers make an option.

        It is a class of drf-spectacular's, which takes it from the action itself; DRF's generators would call it
        unbound (`view.schema.get_operation`), and each request would be kept by it.
        """
        if isclass(options.get("schema")):
            del options["schema"]
        super().__init__(**options)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """See APIView.initialize_request()."""
        self.request_id = request_id(request)
        self.limits: list[Limit] = []
        self.refusal: Exception | None = None
        return super().initialize_request(request, *args, **kwargs)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """See APIView.dispatch(), which notes the response.

        A deferred one has the view. Were it noted there, one that Django drops would keep its turn until the garbage
        collector comes: see `DeferredResponse.__del__()`.
        """
        response = super().dispatch(request, *args, **kwargs)
        if isinstance(response, DeferredResponse):
            del self.response
        return response

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Those of the host's settings, unless the view has classes of its own."""
        if self.authentication_classes is auth.AUTHENTICATION:
            return [make() for make in auth.authentication_classes()]
        return list(super().get_authenticators())

    def get_permissions(self) -> list[Any]:
        """See get_authenticators()."""
        if self.permission_classes is auth.PERMISSIONS:
            return [make() for make in auth.permission_classes()]
        return list(super().get_permissions())

    def determine_version(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """See APIView.determine_version(). `Accept` may name a version beside a format that is no renderer's."""
        if self.versioning_class and issubclass(self.versioning_class, AcceptHeaderVersioning):
            request.accepted_media_type = media_type_with_parameters(request) or request.accepted_media_type
        return super().determine_version(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """See APIView.initial(). All is checked before the body is read."""
        super().initial(request, *args, **kwargs)
        if not users.is_known(request.user) and getattr(request.user, "pk", 0) is not None:
            request.user = AnonymousUser()  # A site may have None, or a guest with the key of somebody's rows.
        self.admit(request)
        check_length(request._request)

    def admit(self, request: Request) -> None:
        """Raise what keeps this user, who is known by now, from going on."""

    def handle_exception(self, exc: Exception) -> Response:
        """See APIView.handle_exception(); ours become DRF's, and all get a code."""
        error = as_api_exception(exc)
        response = super().handle_exception(error)
        complete(response, error)
        self.refusal = error
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """See APIView.finalize_response(). Errors and answers have the request's id and the limits in their head."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized[HEADER] = self.request_id
        for name, value in limit_headers(self.limits, self.refusal).items():
            finalized[name] = value
        self.refusal = None  # Its traceback keeps the view.
        return finalized
