"""How many tokens a text has likely, from what its model has reported of earlier ones (`TokenRatio`).

A prompt is estimated by the tenth percentile of the characters per token that were reported for prompts of its kind,
plus a tenth: nine in ten prompts have fewer tokens. Until there are enough reports for its script it is a token per
byte, since tokenizers produce no more. An answer, which is estimated again and again while it is written, is estimated
by the median.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from waldur_chat.models import TokenRatio
from waldur_chat.store import sql
from waldur_chat.text_size import BYTES_PER_TOKEN, TextSize

ENOUGH_REPORTS = 20
FEWEST, MOST = 1, 6
"""Bounds of the characters per token that are believed."""

STEPS = 16
"""Steps of the histogram for each character per token."""

TOO_LOW_SHARE = 0.1
MARGIN = 1.1
MOST_WEIGHT = 2000
"""The characters that a text counts at most, so that a few very long ones do not decide alone."""

TEMPLATE_TOKENS = 5
"""Tokens that a chat template usually adds to each message, and once more to the prompt."""

MOST_TEMPLATE_TOKENS = 16
"""The most that it adds to a message, where nothing is known of the model."""

SYMBOL_SHARES = (0.06, 0.12, 0.2)
"""Prompts with a larger share of symbols are of another kind: code has fewer characters per token than prose."""

KINDS_PER_SCRIPT = 10

ANSWER = 0
"""The kind of answers. Their characters are bytes, which a token has equally many of in most languages."""

Bar = tuple[str, int, int]
"""Model, kind and step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a model has reported of one text: of a prompt, or of an answer so far."""

    model: str
    text: TextSize
    tokens: int
    is_answer: bool = False

    @property
    def bar(self) -> Bar:
        """The bar of the histogram that it belongs to."""
        if self.is_answer:
            kind, ratio = ANSWER, self.text.size / max(1, self.tokens)
        else:
            tokens = self.tokens - TEMPLATE_TOKENS * (self.text.messages + 1)
            kind, ratio = _kind_of(self.text), self.text.characters / max(1, tokens)
        return self.model[:200], kind, int(min(max(ratio, FEWEST), MOST) * STEPS)


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Estimates for the models that may get a prompt: the largest counts.

    `ratios` are characters per token by kind, and for whole scripts.
    """

    ratios: tuple[Mapping[int, float], ...] = ({},)

    @property
    def bytes_per_token(self) -> float:
        """Of an answer."""
        return min(ratios.get(ANSWER, BYTES_PER_TOKEN) for ratios in self.ratios)

    def input_tokens(self, text: TextSize) -> int:
        """Of a prompt."""
        kind = _kind_of(text)
        return max(_input_tokens(text, ratios.get(kind, ratios.get(_script_of(kind)))) for ratios in self.ratios)


def load(models: Iterable[str]) -> TokenEstimate:
    """The estimate for these models. One query."""
    models = set(models)
    bars: dict[str, dict[int, list[tuple[int, int, int]]]] = {model[:200]: defaultdict(list) for model in models}
    found = TokenRatio.objects.filter(model__in=list(bars))
    for model, kind, *bar in found.values_list("model", "kind", "step", "reports", "weight"):
        bars[model][kind].append((bar[0], bar[1], bar[2]))
    return TokenEstimate(tuple(_ratios(kinds) for kinds in bars.values()) or ({},))


def add(reports: Sequence[Report]) -> None:
    """Add reports to the histograms, in one statement.

    Plain SQL: `bulk_create(update_conflicts=True)` cannot add to rows. They are sorted, since every process that adds
    locks the rows in this order.
    """
    counts: Counter[Bar] = Counter(report.bar for report in reports)
    weights: Counter[Bar] = Counter()
    for report in reports:
        weights[report.bar] += max(1, min(report.text.characters, MOST_WEIGHT))
    if counts:
        rows = [(*bar, counts[bar], weights[bar]) for bar in sorted(counts)]
        sql.execute(_upsert_sql(len(rows)), [value for row in rows for value in row])


def _kind_of(text: TextSize) -> int:
    """The kind of a prompt, by its bytes per character, 1 to 4, which differ by script, and its share of symbols."""
    characters = max(1, text.characters)
    script = max(1, round(text.size / characters))
    return script * KINDS_PER_SCRIPT + 1 + bisect(SYMBOL_SHARES, text.symbols / characters)


def _script_of(kind: int) -> int:
    """All kinds of the same script together."""
    return kind - kind % KINDS_PER_SCRIPT


def _input_tokens(text: TextSize, ratio: float | None) -> int:
    most = text.size + MOST_TEMPLATE_TOKENS * text.messages
    if ratio is None:
        return most
    return min(most, math.ceil((text.characters / ratio + TEMPLATE_TOKENS * (text.messages + 1)) * MARGIN))


def _ratios(kinds: Mapping[int, Sequence[tuple[int, int, int]]]) -> dict[int, float]:
    """The characters per token by kind and by script, where there are enough reports."""
    groups: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for kind, bars in kinds.items():
        for group in {kind, _script_of(kind)}:
            groups[group] += bars
    return {
        group: _percentile(sorted(bars), 0.5 if group == ANSWER else TOO_LOW_SHARE)
        for group, bars in groups.items()
        if sum(reports for _, reports, _ in bars) >= ENOUGH_REPORTS
    }


def _percentile(bars: Sequence[tuple[int, int, int]], share: float) -> float:
    """The step below which this share of the characters is. The bars are in the order of their steps."""
    sums = list(accumulate(weight for _, _, weight in bars))
    return bars[bisect(sums, share * sums[-1])][0] / STEPS


@sql.cached_statement
def _upsert_sql(count: int) -> str:
    ratios = sql.table(TokenRatio)
    rows = ", ".join(["(%s, %s, %s, %s, %s)"] * count)
    sums = ", ".join(f"{name} = {ratios}.{name} + EXCLUDED.{name}" for name in ("reports", "weight"))
    return (
        f"INSERT INTO {ratios} (model, kind, step, reports, weight) VALUES {rows} "  # noqa: S608  # No values in it.
        f"ON CONFLICT (model, kind, step) DO UPDATE SET {sums}"
    )
