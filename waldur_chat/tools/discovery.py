"""Find the tools in the `chat_tools.py` of the installed apps, as Django finds `admin.py`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from waldur_chat.tools.base import Tool
from waldur_chat.tools.problems import ToolProblem

MODULE = "chat_tools"


def tools_of_apps() -> Iterator[Tool | ToolProblem]:
    """The tools of all installed apps, in their order; a problem for a module that cannot be imported."""
    for name in _modules(tuple(app.name for app in apps.get_app_configs())):
        yield from _tools_of(name)


@cache
def _modules(names: tuple[str, ...]) -> tuple[str, ...]:
    """The modules of these apps. Each turn asks for them, and the files are looked for once."""
    return tuple(f"{name}.{MODULE}" for name in names if module_has_submodule(import_module(name), MODULE))


@cache
def _tools_of(name: str) -> tuple[Tool | ToolProblem, ...]:
    """The tools of one module. It is imported once, also if that fails."""
    try:
        module = import_module(name)
    except Exception as error:
        return (ToolProblem("E030", name, f"it cannot be imported: {type(error).__name__}: {error}"),)
    return tuple(_tools_in(module))


def _tools_in(module: ModuleType) -> Iterator[Tool | ToolProblem]:
    """Tools, and instances of the classes that the module defines."""
    for value in vars(module).values():
        if isinstance(value, Tool):
            yield value
        elif inspect.isclass(value) and issubclass(value, Tool) and value.__module__ == module.__name__ and value.name:
            try:
                yield value()
            except Exception as error:
                place = f"{module.__name__}.{value.__name__}"
                yield ToolProblem("E030", place, f"it cannot be created: {type(error).__name__}: {error}")
