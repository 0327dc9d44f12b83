"""Components of enums under a prefix of their own."""

from __future__ import annotations

import pytest
from drf_spectacular.plumbing import ComponentRegistry

from waldur_chat.api.openapi.inspector import PrefixedNames


@pytest.mark.parametrize("values", [["a", "b"], ["a", "b", None]])
def test_an_enum_is_a_component_and_null_stands_beside_it(values: list[str | None]) -> None:
    inspector = PrefixedNames()
    inspector.registry = ComponentRegistry()
    properties = {"mode": {"enum": values, "type": "string"}, "name": {"type": "string"}}
    inspector._name_enums("LlmChatRequest", properties)
    assert inspector.registry.build({})["schemas"] == {"LlmChatModeEnum": {"enum": ["a", "b"], "type": "string"}}
    assert ("nullable" in properties["mode"]) == (None in values)
    assert properties["name"] == {"type": "string"}
