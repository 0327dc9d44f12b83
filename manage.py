#!/usr/bin/env python
"""Runs commands of the host project in `tests/host`: the demo, the checks, the OpenAPI document."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
    execute_from_command_line(sys.argv)
