"""Signals of turns, for hosts that count, bill or watch.

Receivers get `turn`, a `waldur_chat.record.TurnRecord`. They are called one after the other in a thread of their own,
in which the database may be used: no turn waits for them, and what they raise is logged by Django and does no harm.
"""

from __future__ import annotations

from django.dispatch import Signal

turn_started = Signal()
"""A turn has begun; nothing was asked yet."""

turn_ended = Signal()
"""A turn has ended, whatever the end."""
