"""What metrics cost a paced stream in processor time: nine rounds, each once without them and once with them.

python -m tests.benchmarks.metrics
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator
from statistics import median
from tempfile import TemporaryDirectory

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
_directory = TemporaryDirectory()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _directory.name  # The dearer of the two ways to keep metrics.
django.setup()

from django.test import override_settings  # noqa: E402

from tests.unit.bodies import Response  # noqa: E402
from tests.unit.test_costs import SETTINGS, Replaying, alone  # noqa: E402
from waldur_chat import chat, conf  # noqa: E402
from waldur_chat.api.responses.stream_body import AsyncBody  # noqa: E402
from waldur_chat.messages import Question  # noqa: E402
from waldur_chat.providers.transport import base  # noqa: E402
from waldur_chat.wire.sse import SSEEncoder  # noqa: E402

ROUNDS, STREAMS, TOKENS, PACE = 9, 50, 200, 0.01


class Paced(Replaying):
    """One token every hundredth of a second."""

    async def _ask(self) -> base.Response:
        return Response(self._paced())

    async def _paced(self) -> AsyncGenerator[bytes, None]:
        for piece in alone(TOKENS):
            yield piece
            await asyncio.sleep(PACE)


async def stream() -> None:
    """Read one stream to its end."""
    turn = chat.prepare(Question(text="Hi"), conf.load())
    turn.start(asyncio.get_running_loop())
    body = AsyncBody(turn, SSEEncoder(), turn.settings)
    body._has_started = True  # There is no request whose thread it would give back first.
    async for _ in body:
        pass


async def streams() -> None:
    """Read many at once."""
    await asyncio.gather(*[stream() for _ in range(STREAMS)])


def seconds(*, metrics: bool) -> float:
    """The processor time of all."""
    providers = {"default": {"BACKEND": f"{__name__}.Paced"}}
    with override_settings(WALDUR_CHAT={**SETTINGS, "PROVIDERS": providers, "METRICS": metrics}):
        began = time.process_time()
        asyncio.run(streams())
        return time.process_time() - began


def main() -> None:
    """Print each round, and the median."""
    logging.getLogger("waldur_chat").setLevel(logging.WARNING)
    seconds(metrics=True), seconds(metrics=False)  # What is done once in a process.
    ratios = []
    for number in range(ROUNDS):
        order = (False, True) if number % 2 else (True, False)
        took = {metrics: seconds(metrics=metrics) for metrics in order}
        ratios.append(took[True] / took[False])
        each = 1e6 / (STREAMS * TOKENS)
        print(f"without {took[False] * each:.1f} µs a token, with {took[True] * each:.1f}: {ratios[-1] - 1:+.1%}")
    print(f"The median of {ROUNDS} rounds: {median(ratios) - 1:+.1%}.")


if __name__ == "__main__":
    main()
