"""One call of a tool while its fragments arrive: what it has so far, and what may follow.

Which fragments are its own is decided in `calls`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from waldur_chat.providers.dialects.fragments import Extent, Fragment, objects_in

NO_ARGUMENTS = "{}"
_BLANK = ("", "null")
_BEGINNING = 5
"""As many characters tell whether there are arguments."""


@dataclass(slots=True, kw_only=True)
class OpenCall:
    """A call in the making, begun in the delta of this number.

    `told` is what was told of it: texts of arguments, more than one if they were glued.
    """

    id: str
    index: int | None
    begun: int
    name: str = ""
    parts: list[str] = field(default_factory=list)
    extent: Extent = field(default_factory=Extent)
    extra: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    beginning: str = ""
    """The first characters of its arguments, without white space."""
    is_late: bool = False
    """Whether its name came after its arguments."""
    is_repeated: bool = False
    """Whether its name came again, without any id, where another call of the same tool may have begun."""
    has_blank: bool = False
    """Whether one of the two would have no arguments then."""

    @property
    def is_blank(self) -> bool:
        """Whether it has no arguments so far, or none at all."""
        return self.beginning in (*_BLANK, NO_ARGUMENTS)

    @property
    def is_whole(self) -> bool:
        return bool(self.name) and self.extent.is_closed

    @property
    def is_doubtful(self) -> bool:
        """Whether it may be several calls of the same tool, one without arguments, or with the same."""
        return self.is_repeated and (self.has_blank or len(self.arguments()) < len(objects_in("".join(self.parts))))

    def add(self, fragment: Fragment) -> None:
        """Take a fragment of this call. Its name may come in parts."""
        if fragment.name == self.name and self.name and not (self.id or fragment.id or self.extent.is_open):
            self.is_repeated = True
            self.has_blank = self.has_blank or self.is_blank or not fragment.arguments.strip()
        self.id = self.id or fragment.id
        if fragment.name != self.name and fragment.name:
            self.is_late = not self.is_blank
            self.name += fragment.name
        self.extra |= fragment.extra
        if fragment.arguments:
            self.parts.append(fragment.arguments)
            self.extent.read(fragment.arguments)
            if len(self.beginning) < _BEGINNING:
                self.beginning += "".join(fragment.arguments.split())[:_BEGINNING]

    def takes(self, fragment: Fragment) -> bool:
        """Whether these arguments may follow. After a whole object only another one does."""
        return not self.extent.is_closed or fragment.arguments.lstrip()[:1] in ("", "{")

    def begins_another(self, fragment: Fragment) -> bool:
        """Whether these arguments begin after its own have ended. An empty object may stand for what is to come."""
        return self.extent.is_closed and not self.is_blank and bool(fragment.arguments.strip())

    def arguments(self) -> list[str]:
        """The arguments of each call that this is. A repeated object, and an empty one beside others, are no calls."""
        text = _paired("".join(self.parts))
        if text.strip() in _BLANK:
            return [NO_ARGUMENTS]
        if not (objects := objects_in(text)):
            return [text]
        full = [one for one in objects if one[1]] or objects[:1]
        return [text for at, (text, value) in enumerate(full) if not at or value != full[at - 1][1]]


def _paired(text: str) -> str:
    """The text with the halves of UTF-16 characters joined, which fragments may separate."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
