"""The rows that the demo begins with."""

from __future__ import annotations

from typing import Any

from tests.demo.models import Project, VirtualMachine


def fill(user: Any, staff: Any) -> None:
    """Give both users projects and machines, unless they have them."""
    for owner, name, is_closed, machines in (
        (user, "Apollo", False, {"db-1": "large", "web-1": "small"}),
        (user, "Gemini", False, {}),
        (user, "Mercury", True, {"archive-1": "medium"}),
        (staff, "Voyager", False, {"probe-1": "small"}),
    ):
        project, _ = Project.objects.get_or_create(name=name, defaults={"owner": owner, "is_closed": is_closed})
        for machine, size in machines.items():
            VirtualMachine.objects.get_or_create(project=project, name=machine, defaults={"size": size})
