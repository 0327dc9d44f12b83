"""Threads, loops, connections and processes: what everything else runs on. It knows nothing of the chat."""
