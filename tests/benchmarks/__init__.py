"""Measurements: figures, not verdicts. They want a quiet machine."""
