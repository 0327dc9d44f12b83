"""Signals of turns, for hosts that count, bill or watch.

Receivers get `turn`, a `waldur_chat.record.TurnRecord`. They are called in a thread, in which the database may be used,
and what they raise is logged by Django and does no harm.
"""

from __future__ import annotations

from django.dispatch import Signal

turn_started = Signal()
"""A turn has begun; nothing was asked yet."""

turn_ended = Signal()
"""A turn has ended, whatever the end; its reader was told."""
