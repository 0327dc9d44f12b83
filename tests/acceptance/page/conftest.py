"""The fixtures of the chat page's tests: `reader`, somebody at it, and `visit`, which opens it for others."""

from tests.acceptance.page.reader import chromium, keeper, page_server, reader, visit

__all__ = ["chromium", "keeper", "page_server", "reader", "visit"]
