"""Metrics: they agree with everything else that counts, and a real Prometheus answers what dashboards ask."""
