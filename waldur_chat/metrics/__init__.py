"""What operators measure: one observer of this process, fed by reporting and by the few places that it cannot see.

    from waldur_chat.metrics import observer

    observer().refused("chat_busy")

Without `METRICS` the observer does nothing, and prometheus_client is not imported.
"""

from waldur_chat.metrics.current import is_installed, observer
from waldur_chat.metrics.observer import Observer

__all__ = ["Observer", "is_installed", "observer"]
