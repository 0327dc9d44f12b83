"""A Waldur host's Celery finds the task of the plugin, and its beat starts it once a day."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.needs import module
from tests.processes import ROOT

module("celery")

pytestmark = pytest.mark.skipif(
    not entry_points(group="waldur_extensions"), reason="waldur-chat is not installed, so it has no entry point"
)

# What a Waldur host does, and then what its beat and its worker do.
HOST = """
import json
from datetime import timedelta
import django; django.setup()
from django.conf import settings
from django.core.management import call_command; call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
from django.utils import timezone
from celery import Celery
from celery.beat import Scheduler
from waldur_chat.models import Session, Thread

app = Celery("host", broker="memory://", set_as_current=True)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(lambda: settings.INSTALLED_APPS, force=True)

for days in (1, 91):
    session = Session.objects.get_or_create(user=User.objects.get_or_create(username="alice")[0])[0]
    Thread.objects.create(session=session, modified=timezone.now() - timedelta(days=days))
(entry,) = (entry for entry in Scheduler(app).schedule.values() if entry.task.startswith("waldur_chat"))
result = app.tasks[entry.task].apply(entry.args, entry.kwargs, throw=True)
print(json.dumps([entry.task, entry.schedule.run_every.total_seconds(), result.state, Thread.objects.count()]))
"""


@pytest.mark.parametrize(("days", "left"), [(90, 1), (0, 2)])
def test_beat_and_worker_clean_up(tmp_path: Path, days: int, left: int) -> None:
    assert _run(tmp_path, {"AI_ASSISTANT_SESSION_RETENTION_DAYS": [days, ""]}) == [
        "waldur_chat.cleanup",
        86400.0,
        "SUCCESS",
        left,
    ]


def _run(directory: Path, constance: dict[str, Any]) -> Any:
    environment = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'waldur'}",
        "DJANGO_SETTINGS_MODULE": "waldur_core.server.settings",
        "WALDUR_CHAT_DB": str(directory / "waldur.sqlite3"),
        "WALDUR_HOST_CONSTANCE": json.dumps(constance),
    }
    command = [sys.executable, "-c", HOST]
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=directory, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])
