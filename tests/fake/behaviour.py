"""How the fake service behaves: written into the model's name, so that any process can ask for anything.

The model `tokens=3&delay=0.1` answers with three tokens, 0.1 s apart. LangServe has no model: there it is the query.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from urllib.parse import parse_qsl


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """One answer.

    `head` and `first` are seconds of silence before the status line and before the first token; `usage` is one of
    end, each, none and refuse (400 to whoever asks for it); `end` is one of both, done, finish and none; `cut` resets
    the connection after that many tokens; `fault` sends an error object after that many tokens.
    """

    tokens: int = 5
    delay: float = 0.0
    text: str = ""
    reasoning: str = ""
    head: float = 0.0
    first: float = 0.0
    status: int = 200
    retry_after: str = ""
    usage: str = "end"
    end: str = "both"
    cut: int = -1
    fault: int = -1
    html: bool = False

    @property
    def pieces(self) -> list[str]:
        """The tokens of the answer."""
        if self.text:
            return [word if not index else f" {word}" for index, word in enumerate(self.text.split(" "))]
        return [f"w{index} " for index in range(self.tokens)]


def parse(text: str) -> Behaviour:
    """The behaviour that a model's name or a query asks for; other names mean the usual one."""
    types = {one.name: {"int": int, "float": float, "bool": bool}.get(str(one.type), str) for one in fields(Behaviour)}
    return Behaviour(**{name: types[name](value) for name, value in parse_qsl(text) if name in types})
