"""The import map of the chat page: which URL the static storage gave to each of its JavaScript modules."""

import json
from functools import cache
from pathlib import Path
from posixpath import dirname, relpath
from urllib.parse import urljoin

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
    """Map what the imports of our modules resolve to (`import "./sse.js"`) to the addresses that the storage gave out.

    A browser resolves an import against the address of the importing module, wherever the storage has put that: under a
    hashed name, on another host than STATIC_URL, or with a signature in its query, which the imported one then lacks.
    Without the map it would also mix modules of two releases where static files are cached for ever.
    """
    addresses = {name: static(name) for name in javascript_modules()}
    # All modules of a folder import from the same place, unless the storage has taken them apart.
    places = {(dirname(name), urljoin(address, ".")) for name, address in addresses.items()}
    imports = {
        urljoin(place, relpath(name, folder)): address
        for folder, place in places
        for name, address in addresses.items()
    }
    document = json.dumps({"imports": dict(sorted(imports.items()))})
    return mark_safe(document.replace("<", "\\u003c"))  # noqa: S308 (no "<", no way out)
