"""The views of the catalogue, as any site has them: nothing here knows of the chat."""

from __future__ import annotations

from typing import Any

from rest_framework import mixins, serializers
from rest_framework.filters import SearchFilter
from rest_framework.permissions import IsAuthenticated
from rest_framework.viewsets import GenericViewSet

from tests.demo.access import CatalogueRate, OwnerFilter, ProjectIsOpen
from tests.demo.models import Project, VirtualMachine


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project, and how many machines it has."""

    vms = serializers.IntegerField(source="vms.count", read_only=True)

    class Meta:
        """What is shown of it."""

        model = Project
        fields = ["name", "vms", "is_closed"]


class VirtualMachineSerializer(serializers.ModelSerializer[VirtualMachine]):
    """A machine. Its project is given by name, as people do."""

    project: Any = serializers.SlugRelatedField(slug_field="name", queryset=Project.objects.all())

    class Meta:
        """What is shown of it, and given for a new one."""

        model = VirtualMachine
        fields = ["id", "name", "project", "size", "created"]


class CatalogueViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Any]):
    """Who may see what is the same for all."""

    permission_classes = [IsAuthenticated, ProjectIsOpen]
    filter_backends = [OwnerFilter, SearchFilter]
    search_fields = ["name"]
    throttle_classes = [CatalogueRate]
    owner_field = "owner"


class ProjectViewSet(CatalogueViewSet):
    """Projects of the user."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer


class VirtualMachineViewSet(mixins.CreateModelMixin, mixins.DestroyModelMixin, CatalogueViewSet):
    """Virtual machines in the user's projects."""

    queryset = VirtualMachine.objects.select_related("project")
    serializer_class = VirtualMachineSerializer
    search_fields = ["name", "project__name"]
    owner_field = "project__owner"

    def perform_create(self, serializer: Any) -> None:
        """Check the project as one object of the user, before anything is put into it."""
        project = serializer.validated_data["project"]
        if not self.request.user.is_staff and project.owner != self.request.user:
            raise serializers.ValidationError({"project": [f"Object with name={project} does not exist."]})
        self.check_object_permissions(self.request, project)
        serializer.save()
