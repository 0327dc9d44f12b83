"""Settings of the demo: the host project, its catalogue, and what a model may do in that."""

from tests.host.settings import *  # noqa: F403
from tests.host.settings import WALDUR_CHAT as HOST

ROOT_URLCONF = "tests.demo.urls"

TOOLS = {
    "list_projects": {"VIEW": "project-list", "DESCRIPTION": "List the user's projects."},
    "list_vms": {"VIEW": "vm-list", "DESCRIPTION": "List the virtual machines in the user's projects."},
    "create_vm": {"VIEW": "vm-list", "METHOD": "POST", "DESCRIPTION": "Create a virtual machine in a project."},
    "show_links": {"BACKEND": "tests.demo.tools.show_links"},
    "ask_user": {"BACKEND": "waldur_chat.tools.ask_user.AskUser"},
}

WALDUR_CHAT = {"TOOLS": TOOLS, **HOST}
