"""System prompts: which one is active, and how they change. Each change of the instructions creates a version."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from waldur_chat.models import SystemPrompt, SystemPromptVersion
from waldur_chat.store import locks

_PLACEHOLDER = re.compile(r"\{(assistant_name|organization)\}")


def active() -> SystemPromptVersion | None:
    """The newest version of the active prompt, which new turns use. One query."""
    newest: SystemPromptVersion | None
    newest = SystemPromptVersion.objects.filter(prompt__is_active=True).order_by("-number").first()
    return newest


def all_prompts() -> QuerySet[SystemPrompt]:
    """Every prompt, the newest first."""
    rows: QuerySet[SystemPrompt] = SystemPrompt.objects.order_by("-created", "-pk")
    return rows


def versions_of(prompt: SystemPrompt) -> QuerySet[SystemPromptVersion]:
    """The versions of a prompt with their authors, newest first."""
    rows: QuerySet[SystemPromptVersion] = prompt.versions.select_related("author").order_by("-number")
    return rows


def fill_placeholders(text: str, assistant_name: str, organization: str) -> str:
    """Replace `{assistant_name}` and `{organization}`. Other braces stay, which `str.format()` would not accept."""
    values = {"assistant_name": assistant_name, "organization": organization}
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


@transaction.atomic
def create(author: Any, **values: str) -> SystemPrompt:
    """Create an inactive prompt with its first version. `values` are name, description and instructions."""
    prompt: SystemPrompt = SystemPrompt.objects.create(**values)
    _write_version(prompt, author)
    return prompt


@transaction.atomic
def change(prompt: SystemPrompt, author: Any, **values: str) -> SystemPrompt:
    """Change name, description or instructions; changed instructions create a version."""
    # Only these columns are written, unlike by save(), which would undo a concurrent activation.
    SystemPrompt.objects.filter(pk=prompt.pk).update(**values, modified=timezone.now())
    prompt.refresh_from_db()
    _write_version(prompt, author)
    return prompt


@transaction.atomic
def activate(prompt: SystemPrompt) -> SystemPrompt:
    """Make this prompt the only active one. Of concurrent activations, the last one wins."""
    _lock_activation()
    SystemPrompt.objects.filter(is_active=True).exclude(pk=prompt.pk).update(is_active=False, modified=timezone.now())
    SystemPrompt.objects.filter(pk=prompt.pk).update(is_active=True, modified=timezone.now())
    prompt.refresh_from_db()
    return prompt


def deactivate(prompt: SystemPrompt) -> SystemPrompt:
    """Make the prompt inactive."""
    SystemPrompt.objects.filter(pk=prompt.pk).update(is_active=False, modified=timezone.now())
    prompt.refresh_from_db()
    return prompt


@locks.retried_on_deadlock
@transaction.atomic
def delete(prompt: SystemPrompt) -> None:
    """Delete a prompt and its versions. They are locked first: no turn can refer to them, and no version is added.

    The turns that refer to them are updated in any order, and so are running turns whose leases are renewed.
    """
    if locks.lock(SystemPrompt.objects.filter(pk=prompt.pk)):
        list(prompt.versions.select_for_update().values_list("pk"))
        prompt.delete()


def _lock_activation() -> None:
    """Lock the first prompt, the same row for all, so that activations run one after the other."""
    first = SystemPrompt.objects.order_by("pk").values("pk")[:1]
    locks.lock(SystemPrompt.objects.filter(pk=first))  # Not pk__in: MariaDB has no LIMIT in that.


def _write_version(prompt: SystemPrompt, author: Any) -> None:
    """Add a version if the instructions have changed. The prompt's row is locked."""
    newest = prompt.versions.order_by("-number").first()
    if newest is None or newest.custom_instructions != prompt.custom_instructions:
        prompt.versions.create(
            number=newest.number + 1 if newest else 1,
            custom_instructions=prompt.custom_instructions,
            author_id=author.pk,
        )
