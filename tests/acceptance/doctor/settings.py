"""The host project with other settings: `WALDUR_CHAT_HOST_SETTINGS` is a JSON object of them."""

import json
import os

from tests.host.settings import *  # noqa: F403
from tests.host.settings import MIDDLEWARE

_others = json.loads(os.environ.get("WALDUR_CHAT_HOST_SETTINGS", "{}"))
MIDDLEWARE = [*_others.pop("MORE_MIDDLEWARE", []), *MIDDLEWARE]
globals().update(_others)
