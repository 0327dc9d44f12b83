"""The host project with a schema class of DRF's own, as `WALDUR_HOST_SCHEMA` names it."""

import os

from tests.host.settings import *  # noqa: F403
from tests.host.settings import REST_FRAMEWORK as HOST

REST_FRAMEWORK = {**HOST, "DEFAULT_SCHEMA_CLASS": os.environ["WALDUR_HOST_SCHEMA"]}
