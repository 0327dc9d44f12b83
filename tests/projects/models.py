"""Projects of users, and the audit of what happened to them."""

from django.conf import settings
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver

from tests.projects import current


class Project(models.Model):
    """A project of one user."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="projects")
    name = models.CharField(max_length=40, help_text="How people call it.")
    budget = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=8, choices=[("active", "Active"), ("frozen", "Frozen")], default="active")
    network = models.CharField(max_length=40, default="", blank=True)

    class Meta:
        """A name is free only once."""

        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_name_of_an_owner")]
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.name


class AuditEntry(models.Model):
    """Who has changed what, from where."""

    actor = models.CharField(max_length=150)
    address = models.CharField(max_length=40)
    what = models.CharField(max_length=80)

    def __str__(self) -> str:
        return self.what


@receiver(post_save, sender=Project)
def note_change(sender: type[Project], instance: Project, created: bool, **kwargs: object) -> None:
    """Write down who did it, as the middleware knows."""
    if request := current.request():
        user = current.user(request)
        what = f"{'created' if created else 'changed'} {instance.name}"
        AuditEntry.objects.create(actor=user, address=request.META["REMOTE_ADDR"], what=what)
