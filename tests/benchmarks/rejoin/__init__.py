"""Whether answers survive, in the numbers that the tests of tests/acceptance/cluster have no time for.

python -m tests.benchmarks.rejoin <cuts|kills|deploy|viewers|idempotency|cost> [--count ...]

Needs PostgreSQL and nginx, as those do.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
django.setup()
