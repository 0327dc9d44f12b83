"""The host project as ASGI application."""

import os

from django.core.asgi import get_asgi_application

from waldur_chat import shedding

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")

application = shedding.asgi(get_asgi_application())
