"""Turns: how one is run, where it runs, and how its events reach a reader. Asynchronous, and there is only one."""
