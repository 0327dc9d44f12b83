"""The life of a turn around the engine that runs it: what it waits for, and who is told of it."""
