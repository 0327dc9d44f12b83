"""Whether this process is alive, and whether it is ready for requests; for load balancers and orchestrators.

    from waldur_chat.health import readiness

    found = readiness()
    found.status(strict=False), found.body()

No model is asked. What may block, the database and the host's constance, is looked at in threads of their own.
"""

from waldur_chat.health.report import ALIVE, Readiness, areadiness, readiness

__all__ = ["ALIVE", "Readiness", "areadiness", "readiness"]
