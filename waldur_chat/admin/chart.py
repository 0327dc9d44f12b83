"""Geometry of the bar charts: numbers for the template, without Django and without colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 960, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 12, 28
MOST_LABELS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One day: its label, its tooltip, and a value for each series of the chart; the bars are stacked."""

    label: str
    title: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A rectangle of one series; lengths are in units of the SVG."""

    series: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The bars of one day, the area of its tooltip, and its label; empty if there is no room for one."""

    title: str
    label: str
    x: float
    middle: float
    width: float
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A horizontal line, and the label of its value."""

    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """All that the template draws."""

    width: int
    height: int
    left: int
    right: int
    top: int
    floor: int
    stacks: Sequence[Stack]
    ticks: Sequence[Tick]

    @property
    def text_right(self) -> int:
        """The right edge of the labels left of the plot."""
        return self.left - 8

    @property
    def plot_height(self) -> int:
        """The height of the plot, from its top to the zero line."""
        return self.floor - self.top


def chart(columns: Sequence[Column]) -> Chart:
    """Lay out the chart of these columns, scaled to the highest one."""
    step = _step(max((sum(column.values) for column in columns), default=0))
    top = step * max(1, math.ceil(max((sum(column.values) for column in columns), default=0) / step))
    floor = HEIGHT - BOTTOM
    scale = (floor - TOP) / top
    ticks = [Tick(y=round(floor - value * scale, 1), label=short(value)) for value in range(0, top + 1, step)]
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        floor=floor,
        stacks=_stacks(columns, floor, scale),
        ticks=ticks,
    )


def short(number: int) -> str:
    """Abbreviate a number: 950, 1.5k, 20M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + letter
    return str(number)


def _step(highest: int) -> int:
    """The distance of two lines: 1, 2 or 5 times a power of ten, for at most five lines."""
    rough = max(1.0, highest / 5)
    size = int(10 ** math.floor(math.log10(rough)))
    return next(step for step in (size, 2 * size, 5 * size, 10 * size) if step >= rough)


def _stacks(columns: Sequence[Column], floor: int, scale: float) -> list[Stack]:
    room = (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    every = math.ceil(len(columns) / MOST_LABELS)
    return [
        Stack(
            title=column.title,
            label=column.label if (len(columns) - 1 - number) % every == 0 else "",
            x=round(LEFT + number * room, 2),
            middle=round(LEFT + (number + 0.5) * room, 2),
            width=round(room, 2),
            bars=_bars(column.values, LEFT + number * room, room, floor, scale),
        )
        for number, column in enumerate(columns)
    ]


def _bars(values: Sequence[int], x: float, room: float, floor: int, scale: float) -> list[Bar]:
    bars = []
    y = float(floor)
    for series, value in enumerate(values):
        y -= value * scale
        place = {"x": round(x + room * 0.12, 2), "y": round(y, 2), "width": round(room * 0.76, 2)}
        bars.append(Bar(series=series, height=round(value * scale, 2), **place))
    return bars
