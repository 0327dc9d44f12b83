"""Finish the turns of processes that died, as interrupted: what was flushed of them becomes the answer.

They are known by their leases, which have not changed for too long. The transaction that finishes a turn confirms it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Collection
from datetime import datetime

from django.db import InterfaceError, OperationalError

from waldur_chat.errors import TurnInterrupted
from waldur_chat.events import Usage
from waldur_chat.metrics import observer
from waldur_chat.models import Turn
from waldur_chat.store.turns import finish, partials
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.text_size import estimated_tokens
from waldur_chat.wire.thoughts import answer_start

logger = logging.getLogger(__name__)


def interrupt(leases: Collection[datetime], runs_here: Callable[[str], object], **where: object) -> int:
    """Finish the running turns with these leases, as interrupted; return their number.

    `runs_here` receives the id of each turn. A turn of this process is skipped: its lease was only renewed late.
    """
    turns = list(Turn.objects.filter(status=Turn.Status.RUNNING, expires__in=leases, **where))
    random.shuffle(turns)  # Other processes have found the same turns, and rarely begin with the same one then.
    return sum(not runs_here(turn.uuid.hex) and _try_to_interrupt(turn) for turn in turns)


def _try_to_interrupt(turn: Turn) -> bool:
    """The same of one turn. If it cannot be ended, the others are, and the next pass tries again."""
    try:
        return _interrupt(turn)
    except (InterfaceError, OperationalError):  # The database is away, for all of them.
        raise
    except Exception:
        logger.exception("Turn %s, whose process died, could not be ended.", turn.uuid.hex)
        return False


def _interrupt(turn: Turn) -> bool:
    """Finish a turn with its last known usage, unless it was finished or renewed meanwhile."""
    if not Turn.objects.filter(pk=turn.pk, status=Turn.Status.RUNNING, expires=turn.expires).exists():
        return False  # Before its text is read: that may be long.
    outcome = _outcome(turn, partials.text_of(turn))
    if not finish.finish_unrenewed(turn.uuid, outcome):
        return False
    observer().turn_interrupted(turn.purpose, turn.model, outcome.usage)
    logger.warning("Turn %s was interrupted: its process died.", turn.uuid.hex)
    return True


def _outcome(turn: Turn, text: str) -> TurnOutcome:
    start = answer_start(text)
    output = max(turn.output_tokens, estimated_tokens(text))
    return TurnOutcome(
        status=Turn.Status.INTERRUPTED,
        code=TurnInterrupted.code,
        text=text[start:],
        text_start=start,
        usage=Usage(input_tokens=turn.input_tokens, output_tokens=output, estimated=True),
        model=turn.model,
        lease=turn.expires,
    )
