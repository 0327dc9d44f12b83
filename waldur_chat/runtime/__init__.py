"""Threads, event loops, database connections and processes. Independent of everything else in the package."""
