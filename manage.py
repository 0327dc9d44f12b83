#!/usr/bin/env python
"""Runs commands of the host project in `tests/host`: the checks, the OpenAPI document, and the demo with its tools."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    project = "tests.demo" if sys.argv[1:2] == ["demo"] else "tests.host"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"{project}.settings")
    execute_from_command_line(sys.argv)
