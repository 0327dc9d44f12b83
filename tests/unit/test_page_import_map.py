"""The import map of the chat page, with the static storages that sites use."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage, StaticFilesStorage
from django.core.management import call_command
from django.templatetags.static import static

from tests.unit.test_page import render
from waldur_chat.page import import_map


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.unit.test_page"
    settings.STATIC_URL = "/static/"


class RewritingStorage(ManifestStaticFilesStorage):
    """Also rewrites the imports within JavaScript modules."""

    support_js_module_import_aggregation = True


def imports_of_page() -> dict[str, str]:
    found = re.search(r'<script type="importmap"[^>]*>(.*?)</script>', render().content.decode())
    assert found is not None
    imports: dict[str, str] = json.loads(found[1])["imports"]
    return imports


def collect(settings: Any, root: Path, backend: type) -> None:
    """Run collectstatic for our own files, into `root`."""
    settings.STATIC_ROOT = str(root)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": f"{backend.__module__}.{backend.__qualname__}"},
    }
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin", "rest_framework", "drf_*"])


def loaded_from(root: Path, url: str, imports: dict[str, str], loaded: set[str]) -> set[str]:
    """What a browser loads for the module at this URL, as it resolves imports: against the URL, then by the map."""
    if url not in loaded:
        loaded.add(url)
        source = (root / urlsplit(url).path.removeprefix("/static/")).read_text()
        for specifier in re.findall(r'from "(\.[^"]+)"', source):
            resolved = urljoin(url, specifier)
            loaded_from(root, imports.get(resolved, resolved), imports, loaded)
    return loaded


def test_values_are_the_urls_of_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_map, "static", lambda name: f"/static/{name}?v=1&</script>")

    imports = imports_of_page()

    assert imports["/static/waldur_chat/net/sse.js"] == "/static/waldur_chat/net/sse.js?v=1&</script>"


@pytest.mark.parametrize("backend", [ManifestStaticFilesStorage, RewritingStorage])
def test_a_browser_loads_every_module_by_its_hashed_name(settings: Any, tmp_path: Path, backend: type) -> None:
    collect(settings, tmp_path, backend)

    loaded = loaded_from(tmp_path, static("waldur_chat/main.js"), imports_of_page(), set())

    assert loaded == {static(name) for name in import_map.javascript_modules()}
    assert all(re.search(r"\.[0-9a-f]{12}\.js$", url) for url in loaded)


class SignedStorage(StaticFilesStorage):
    """As a storage for a bucket gives out addresses: on another host than STATIC_URL, each with a signature."""

    def url(self, name: str | None) -> str:
        return f"https://bucket.example.com/static/{name}?Expires=9&Signature={hash(name)}%2B&x=<"


class OtherHostStorage(ManifestStaticFilesStorage):
    """A manifest on another host than STATIC_URL."""

    def url(self, name: str | None, force: bool = False) -> str:
        return "https://cdn.example.com" + str(super().url(name, force))


@pytest.mark.parametrize("backend", [SignedStorage, OtherHostStorage])
def test_a_browser_loads_every_module_from_where_the_storage_puts_it(
    settings: Any, tmp_path: Path, backend: type
) -> None:
    collect(settings, tmp_path, backend)

    loaded = loaded_from(tmp_path, static("waldur_chat/main.js"), imports_of_page(), set())

    assert loaded == {static(name) for name in import_map.javascript_modules()}
    assert all(url.startswith("https://") for url in loaded)


def test_every_module_is_imported_by_another_but_the_main_one() -> None:
    root = import_map.STATIC_ROOT
    files = [root / name for name in import_map.javascript_modules()]
    imported = {
        (file.parent / specifier).resolve().relative_to(root).as_posix()
        for file in files
        for specifier in re.findall(r'from "(\.[^"]+)"', file.read_text())
    }

    assert imported == {*import_map.javascript_modules()} - {"waldur_chat/main.js"}
    assert len(imported) > 20
