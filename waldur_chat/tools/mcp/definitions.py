"""The definition of a tool as it is pinned: what a model would be told, and what staff are shown, as one text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

from waldur_chat.tools.arguments import schema_problem
from waldur_chat.tools.mcp import schemas
from waldur_chat.wire.framing import harmless

PINNED = ("name", "title", "description", "inputSchema", "annotations")
"""What of a definition is pinned. Icons, `_meta` and the schema of results are neither used nor shown."""
MOST_CHARACTERS = 20_000
NAME_LENGTH = 128
OFFERED_LENGTH = 64
HASH_LENGTH = 8
HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Categories of characters that people do not see, and models do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDefinition:
    """The name that the server uses, the pinned text (canonical JSON, in ASCII), and its hash."""

    name: str
    text: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedDefinition:
    """A definition as the model gets it, and the headers that the server wants of its arguments."""

    tool: str
    description: str
    schema: Mapping[str, Any]
    headers: Mapping[str, tuple[str, ...]]


class UnfitDefinition(ValueError):
    """The definition cannot be that of a tool. The message says why."""


def read_all(tools: Iterable[Any]) -> tuple[list[ToolDefinition], list[str]]:
    """The definitions of a list, each name once, and what is wrong with the others."""
    found: dict[str, ToolDefinition] = {}
    problems = []
    for tool in tools:
        try:
            definition = read(tool)
            if definition.name in found:
                raise UnfitDefinition(f"{definition.name}: it is there twice.")
            found[definition.name] = definition
        except UnfitDefinition as error:
            problems.append(str(error))
    return list(found.values()), problems


def read(tool: Any) -> ToolDefinition:
    """The definition of one tool. Raises `UnfitDefinition`."""
    name = tool.get("name") if isinstance(tool, Mapping) else None
    if not (isinstance(name, str) and 0 < len(name) <= NAME_LENGTH and name.isprintable()):
        raise UnfitDefinition(f"a tool has no name of 1 to {NAME_LENGTH} characters.")
    try:
        text = json.dumps({key: tool[key] for key in PINNED if key in tool}, sort_keys=True, separators=(",", ":"))
        if len(text) > MOST_CHARACTERS:
            raise UnfitDefinition(f"its definition is longer than {MOST_CHARACTERS} characters.")
        json.dumps(json.loads(text), ensure_ascii=False).encode()  # Half of a surrogate pair would fail in each prompt.
        offered(text)
    except (ValueError, RecursionError) as error:
        raise UnfitDefinition(f"{name}: {error}") from error
    return ToolDefinition(name=name, text=text, hash=hash_of(text))


def hash_of(text: str) -> str:
    """The hash by which a definition is known again."""
    return sha256(text.encode()).hexdigest()


@lru_cache(maxsize=512)
def offered(text: str) -> OfferedDefinition:
    """What the model gets of a pinned text. Kept, since each turn asks for it. Raises `ValueError`."""
    pinned = json.loads(text)
    schema = schemas.fit(pinned.get("inputSchema"))
    words = json.dumps(schema, ensure_ascii=False)
    if harmless(words) != words:
        raise schemas.UnfitSchema("its inputSchema has special tokens of chat templates.")
    if problem := schema_problem(schema):
        raise schemas.UnfitSchema(problem)
    description = pinned.get("description")
    return OfferedDefinition(
        tool=pinned["name"],
        description=harmless(description) if isinstance(description, str) else "",
        schema=schema,
        headers=schemas.parameter_headers(pinned["inputSchema"]),
    )


def offered_name(server: str, tool: str, *, is_taken: bool = False) -> str:
    """The name that the model uses: that of the server before that of the tool.

    A name that services would not accept, or that is taken, gets a hash of the original, so that it stays the same.
    """
    name = f"{server}_{tool}"
    if re.fullmatch(r"[A-Za-z0-9_-]+", name) and len(name) <= OFFERED_LENGTH and not is_taken:
        return name
    digits = sha256(f"{server}\0{tool}".encode()).hexdigest()[:HASH_LENGTH]
    cut = re.sub(r"[^A-Za-z0-9_-]", "_", name)[: OFFERED_LENGTH - HASH_LENGTH - 1]
    return f"{cut}_{digits}"


def shown(text: str) -> str:
    """The text for people: what they could not see is written as its number."""
    hidden = {one for one in set(text) if one != "\n" and unicodedata.category(one) in HIDDEN}
    return "".join(f"\\u{ord(one):04x}" if one in hidden else one for one in text)


def pretty(text: str) -> str:
    """A pinned text for people, over several lines."""
    return shown(json.dumps(json.loads(text), indent=2, ensure_ascii=False)) if text else ""
