"""Projects of users, and virtual machines in them."""

from django.conf import settings
from django.db import models


class Project(models.Model):
    """A project of one user. Nothing is added to one that is closed."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="demo_projects")
    name = models.CharField(max_length=40, unique=True)
    is_closed = models.BooleanField(default=False)

    class Meta:
        """In the order of the alphabet."""

        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class VirtualMachine(models.Model):
    """A machine, which exists as a row only."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="vms")
    name = models.SlugField(max_length=40)
    size = models.CharField(max_length=6, choices=[(size, size) for size in ("small", "medium", "large")])
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        """A name is free once in a project."""

        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_name_of_a_project")]
        ordering = ["project__name", "name"]

    def __str__(self) -> str:
        return self.name
