"""Signals of turns, for hosts that count, bill or monitor.

Receivers get `turn`, a `waldur_chat.record.TurnRecord`. They run one after the other in a thread of their own, in which
the database may be used. No turn waits for them, and Django logs their exceptions.
"""

from __future__ import annotations

from django.dispatch import Signal

turn_started = Signal()
"""A turn has begun; no provider was called yet."""

turn_ended = Signal()
"""A turn has ended, successfully or not."""
