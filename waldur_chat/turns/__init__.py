"""The life of a turn beyond one process: start, record, keep alive, resume, title."""
