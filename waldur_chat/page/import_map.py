"""The import map of the chat page: which URL the static storage gave to each of its JavaScript modules."""

import json
from functools import cache
from pathlib import Path

from django.conf import settings
from django.templatetags.static import static
from django.utils.safestring import SafeString, mark_safe

STATIC_ROOT = Path(__file__).resolve().parent.parent / "static"


@cache
def javascript_modules() -> tuple[str, ...]:
    """Names of all modules as static() takes them, such as "waldur_chat/net/sse.js"; read from disk once a process.

    They are those that the package ships, not those that staticfiles finders find: a production site may run without
    finders, and a site that replaces one of our files keeps its name.
    """
    files = (STATIC_ROOT / "waldur_chat").rglob("*.js")
    return tuple(sorted(file.relative_to(STATIC_ROOT).as_posix() for file in files))


def import_map() -> SafeString:
    """Map the URL that `import "./sse.js"` resolves to to the one of the static storage, such as sse.0a1b2c.js.

    Without it a browser that caches static files for ever would mix modules of two releases.
    """
    prefix = settings.STATIC_URL or "/"
    imports = {f"{prefix}{name}": static(name) for name in javascript_modules()}
    return mark_safe(json.dumps({"imports": imports}).replace("<", "\\u003c"))  # noqa: S308 (no "<", no way out)
