"""Runs turns on an event loop and delivers their events to readers. Asynchronous only, without a database."""
