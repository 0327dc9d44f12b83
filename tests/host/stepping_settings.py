"""The settings of the host project, with a wall clock that a test steps, by as many seconds as a file says.

`WALDUR_CHAT_CLOCK` is the file. The monotonic clock goes on as it is, as on a machine whose time is set.
"""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone

from tests.host.settings import *  # noqa: F403

_file = Path(os.environ["WALDUR_CHAT_CLOCK"])
_time, _now = time.time, timezone.now


def _step() -> float:
    return float(_file.read_text())


def _stepped_time(*_: object) -> float:  # Classes have it as an attribute, as DRF's throttles do.
    return _time() + _step()


def _stepped_now() -> datetime:
    return _now() + timedelta(seconds=_step())


time.time, timezone.now = _stepped_time, _stepped_now
