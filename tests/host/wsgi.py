"""The host project as WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from waldur_chat import shedding

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")

application = shedding.wsgi(get_wsgi_application())
