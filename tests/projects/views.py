"""The views: a list with everything, and actions that are hard to call within somebody else's transaction."""

from __future__ import annotations

import time
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.decorators import action
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import StaticHTMLRenderer
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from tests.projects.access import AddressFilter, NotFrozen, OwnerFilter, Pages, Rate, StateFilter
from tests.projects.models import AuditEntry, Project


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project."""

    owner_name = serializers.CharField(source="owner.username", read_only=True)

    class Meta:
        """The owner is who asks."""

        model = Project
        fields = ["id", "name", "budget", "state", "owner_name"]

    def validate_budget(self, value: int) -> int:
        if value > 1000:
            raise serializers.ValidationError("Too much.")
        return value


class NameSerializer(serializers.Serializer[Any]):
    """A name."""

    name = serializers.CharField(max_length=40)


class TwiceSerializer(NameSerializer):
    """What is written, how long it takes, and the status then."""

    pause = serializers.FloatField(default=0)
    status = serializers.IntegerField(default=200)


class OddSerializer(serializers.Serializer[Any]):
    """One that needs a request."""

    def get_fields(self) -> Any:
        raise LookupError("no such thing")


class ProjectViewSet(ModelViewSet[Project]):
    """Projects of the user."""

    queryset = Project.objects.select_related("owner")
    serializer_class = ProjectSerializer
    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated, NotFrozen]
    filter_backends = [OwnerFilter, AddressFilter, StateFilter, SearchFilter, OrderingFilter]
    search_fields = ["name"]
    ordering_fields = ["name", "budget"]
    pagination_class = Pages
    throttle_classes = [Rate]

    def perform_create(self, serializer: Any) -> None:
        serializer.save(owner=self.request.user)

    @action(detail=False, pagination_class=None)
    def stats(self, request: Any) -> Response:
        """How many there are."""
        return Response({"count": self.filter_queryset(self.get_queryset()).count()})

    @extend_schema(request=NameSerializer, responses=ProjectSerializer)
    @action(detail=False, methods=["post"])
    def take(self, request: Any) -> Response:
        """Take a name, or find the project that has it."""
        name = request.data.get("name")
        try:
            with transaction.atomic():
                Project.objects.create(owner=request.user, name=name)
        except IntegrityError:
            Project.objects.filter(owner=request.user, name=name).update(budget=7)
        return Response(ProjectSerializer(Project.objects.get(owner=request.user, name=name)).data)

    @extend_schema(request=NameSerializer)
    @action(detail=False, methods=["post"])
    def clash(self, request: Any) -> Response:
        """Catch an IntegrityError without a savepoint, which only works outside of a transaction."""
        try:
            Project.objects.create(owner=request.user, name=request.data.get("name"))
        except IntegrityError:
            return Response({"count": Project.objects.count()}, 409)
        return Response({})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def durable(self, request: Any, pk: str) -> Response:
        """Say that no transaction may be around."""
        with transaction.atomic(durable=True):
            project = self.get_object()
            project.budget += 1
            project.save()
        return Response({"budget": project.budget})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def refuse(self, request: Any, pk: str) -> Response:
        """Write, and refuse then: DRF rolls back within ATOMIC_REQUESTS."""
        project = self.get_object()
        project.budget = 99
        project.save()
        raise serializers.ValidationError({"budget": ["Not this time."]})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def later(self, request: Any, pk: str) -> Response:
        """Read in the response what `on_commit` did: nothing yet within ATOMIC_REQUESTS."""
        project = self.get_object()
        transaction.on_commit(lambda: Project.objects.filter(pk=project.pk).update(budget=55))
        project.refresh_from_db()
        return Response({"budget": project.budget})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def crash(self, request: Any, pk: str) -> Response:
        """Write, and fail."""
        project = self.get_object()
        project.budget = 13
        project.save()
        raise RuntimeError("secret of the host")

    @extend_schema(request=TwiceSerializer)
    @action(detail=False, methods=["post"])
    def twice(self, request: Any) -> Response:
        """Write, wait, and write again; then refuse, without a rollback, if that is wanted."""
        given = TwiceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        name, values = given.validated_data["name"], given.validated_data
        AuditEntry.objects.create(what=f"{name} 1")
        time.sleep(values["pause"])
        AuditEntry.objects.create(what=f"{name} 2")
        return Response({"name": name}, values["status"])

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    @action(detail=False)
    def export(self, request: Any) -> HttpResponse:
        """A file."""
        return HttpResponse(b"name\n", content_type="text/csv", headers={"Content-Disposition": "attachment"})

    @extend_schema(request=NameSerializer)
    @action(detail=False, methods=["post"], parser_classes=[MultiPartParser])
    def upload(self, request: Any) -> Response:
        """Take a file."""
        return Response({})

    @action(detail=False, renderer_classes=[StaticHTMLRenderer])
    def picture(self, request: Any) -> Response:
        """A page."""
        return Response("<p>")

    @action(detail=False, serializer_class=OddSerializer)
    def odd(self, request: Any) -> Response:
        """What cannot be documented."""
        return Response({})

    @extend_schema(exclude=True)
    @action(detail=False)
    def hidden(self, request: Any) -> Response:
        """Documented nowhere."""
        return Response({})


class LogView(APIView):
    """What is not rows."""

    throttle_classes = [Rate]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Any, kind: str) -> Any:
        """Every kind of response."""
        return KINDS[kind]()


async def _pieces() -> Any:
    for piece in (b"[", b"2", b"]"):
        yield piece


async def _endless() -> Any:
    while True:
        yield b"x" * 9999


def _links() -> Response:
    link = '<http://x/?page=2>; rel="next", <http://x/?page=9>; rel="last"'
    rows = [{"kind": entry.what} for entry in AuditEntry.objects.all()]
    return Response(rows, headers={"X-Result-Count": "12", "Link": link})


def _file() -> HttpResponse:
    headers = {"Content-Disposition": 'attachment; filename="log.csv"'}
    return HttpResponse(b"1", content_type="text/csv", headers=headers)


KINDS: dict[str, Any] = {
    "html": lambda: HttpResponse(f"<pre>{'Traceback' * 99}</pre>", status=404),
    "stream": lambda: StreamingHttpResponse((b"[", b"1", b"]"), content_type="application/json"),
    "endless": lambda: StreamingHttpResponse((b"x" * 9999 for _ in iter(int, 1)), content_type="text/plain"),
    "endless-async": lambda: StreamingHttpResponse(_endless(), content_type="text/plain"),
    "async": lambda: StreamingHttpResponse(_pieces(), content_type="application/json"),
    "file": _file,
    "text": lambda: HttpResponse("words", content_type="text/plain"),
    "bytes": lambda: HttpResponse(b"\x00", content_type="image/png"),
    "broken": lambda: HttpResponse(b"{", content_type="application/json"),
    "elsewhere": lambda: HttpResponse(status=302, headers={"Location": "/"}),
    "odd": lambda: HttpResponse(status=499, reason="Odd"),
    "nothing": lambda: Response(status=204),
    "links": _links,
    "cursor": lambda: Response({"next": "http://x/?cursor=x%26y", "previous": None, "results": [1]}),
    "numbers": lambda: Response(list(range(60))),
}
