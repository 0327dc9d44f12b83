"""System prompts: which one is active, and how they change. Each change of the instructions is a version."""

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
    """What the model is told now: the newest version of the active prompt. One query."""
    newest: SystemPromptVersion | None
    newest = SystemPromptVersion.objects.filter(prompt__is_active=True).order_by("-number").first()
    return newest


def all_prompts() -> QuerySet[SystemPrompt]:
    """Every prompt, the newest first."""
    rows: QuerySet[SystemPrompt] = SystemPrompt.objects.order_by("-created", "-pk")
    return rows


def versions_of(prompt: SystemPrompt) -> QuerySet[SystemPromptVersion]:
    """What a prompt was, the newest version first, with their authors."""
    rows: QuerySet[SystemPromptVersion] = prompt.versions.select_related("author").order_by("-number")
    return rows


def filled(text: str, assistant_name: str, organization: str) -> str:
    """The text with values for `{assistant_name}` and `{organization}`; every other brace stays as it is."""
    values = {"assistant_name": assistant_name, "organization": organization}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


@transaction.atomic
def create(author: Any, **values: str) -> SystemPrompt:
    """A new prompt, not active, with its first version. `values` are its name, description and instructions."""
    prompt: SystemPrompt = SystemPrompt.objects.create(**values)
    _write_version(prompt, author)
    return prompt


@transaction.atomic
def change(prompt: SystemPrompt, author: Any, **values: str) -> SystemPrompt:
    """Change some of name, description and instructions; other instructions than before make a version."""
    SystemPrompt.objects.filter(pk=prompt.pk).update(**values, modified=timezone.now())
    prompt.refresh_from_db()
    _write_version(prompt, author)
    return prompt


@transaction.atomic
def activate(prompt: SystemPrompt) -> SystemPrompt:
    """Make it the active one, and no other. Of several that are activated at once the last one is."""
    _wait_for_others()
    SystemPrompt.objects.filter(is_active=True).exclude(pk=prompt.pk).update(is_active=False, modified=timezone.now())
    SystemPrompt.objects.filter(pk=prompt.pk).update(is_active=True, modified=timezone.now())
    prompt.refresh_from_db()
    return prompt


def deactivate(prompt: SystemPrompt) -> SystemPrompt:
    """Make it inactive."""
    SystemPrompt.objects.filter(pk=prompt.pk).update(is_active=False, modified=timezone.now())
    prompt.refresh_from_db()
    return prompt


@transaction.atomic
def delete(prompt: SystemPrompt) -> None:
    """Delete it and its versions, which are locked first: no turn begins with one of them, and none is added."""
    if locks.rows(SystemPrompt.objects.filter(pk=prompt.pk)):
        list(prompt.versions.select_for_update().values_list("pk"))
        prompt.delete()


def _wait_for_others() -> None:
    """Lock one row that is the same for all, so that nobody activates beside us."""
    first = SystemPrompt.objects.order_by("pk").values("pk")[:1]
    locks.rows(SystemPrompt.objects.filter(pk__in=first))


def _write_version(prompt: SystemPrompt, author: Any) -> None:
    """Keep the instructions and who wrote them, unless they are what they were. The prompt's row is locked."""
    newest = prompt.versions.order_by("-number").first()
    if newest is None or newest.custom_instructions != prompt.custom_instructions:
        prompt.versions.create(
            number=newest.number + 1 if newest else 1,
            custom_instructions=prompt.custom_instructions,
            author_id=author.pk,
        )
