"""The life of a turn around the engine: starting, tracking, recording, cancelling and resuming."""
