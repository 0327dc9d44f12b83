"""How well reservations of tokens fit: mixed turns on a model whose true counts are known.

python -m tests.benchmarks.budgets [--turns 500] [--at-once 8]

The model counts tokens by a rule for each kind of text (English, German, Russian, Chinese, code, tables of spaces), as
tokenizers do, and reports them at the end of its stream. First all turns have a budget that is large enough: what was
reserved at the end of each is compared with what it used, and none may be cut or refused. Then users with small budgets
ask until they are refused: an answer that is cut, or a question that is refused, is wrong if what was left would have
sufficed for the tokens that it truly has, with the tenth that is reserved in addition.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import random
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
os.environ["WALDUR_CHAT_DB"] = str(Path(tempfile.mkdtemp()) / "budgets.sqlite3")
os.environ["WALDUR_CHAT_DB_SYNC"] = "0"

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import override_settings  # noqa: E402

from waldur_chat import chat  # noqa: E402
from waldur_chat.errors import BudgetExhausted  # noqa: E402
from waldur_chat.events import Delta, ProviderEvent, Stopped, Usage  # noqa: E402
from waldur_chat.messages import Prompt  # noqa: E402
from waldur_chat.models import Budget, Thread  # noqa: E402
from waldur_chat.providers.base import Provider  # noqa: E402
from waldur_chat.store.budgets import accounts  # noqa: E402

PIECES = re.compile(r" ?[A-Za-zÄÖÜäöüß]+| ?[А-Яа-яё]+|[一-龥]|\d{1,3}|\s+|.")  # noqa: RUF001
ENGLISH = "the network of a project can be changed by its owner when every machine in that subnet has been stopped"
GERMAN = "das Netzwerk eines Projekts kann geändert werden sobald alle Maschinen des Teilnetzes heruntergefahren sind"
RUSSIAN = "сеть проекта можно изменить когда все виртуальные машины этой подсети остановлены владельцем"
CHINESE = "当 这个 子网 中 的 所有 虚拟机 都 已经 停止 时 项目 的 网络 可以 由 其 所有者 更改"
CODE = "def f(x): if x[0] == {'a': 1}: return g(x, *y) # 0x1F\n for i in range(10): print(i ** 2, end='')\n"
TABLE = "| a    |    12 |      x |\n|------|-------|--------|\n| row  |   7.5 |  true  |        |\n"
KINDS = [ENGLISH] * 5 + [GERMAN] * 2 + [RUSSIAN, CHINESE, CODE, CODE, TABLE]


def true_tokens(text: str) -> int:
    """The tokens that the model has for a text."""
    count = 0
    for piece in PIECES.findall(text):
        word = piece.strip()
        if not word:
            count += math.ceil(len(piece) / 16)
        elif word[0] > "\u0400":
            count += 1 if len(word) == 1 else math.ceil(len(word) / 3)
        else:
            count += 1 if len(word) < 7 else math.ceil(len(word) / 5)
    return count


def text_of(kind: str, words: int) -> str:
    """A text of so many words."""
    known = kind.split(" ")
    joint = "" if kind is CHINESE else " "
    return joint.join(random.choice(known) for _ in range(words))


class KnownProvider(Provider):
    """Answers with as many words as the last word of the question says, and keeps to the limit that it is told."""

    model = "known"
    max_output_tokens = 4096
    writes_titles = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        kind = int(prompt.question.split()[-2])
        limit = min(self.max_output_tokens, prompt.max_output_tokens or self.max_output_tokens)
        tokens, reason = 0, "stop"
        for number in range(int(prompt.question.split()[-1])):
            word = text_of(KINDS[kind], 1) + " "
            if tokens + true_tokens(word) > limit:
                reason = "length"
                break
            tokens += true_tokens(word)
            yield Delta(text=word)
            await asyncio.sleep(0.01 if number % 10 == 9 else 0)
        yield Usage(input_tokens=true_prompt_tokens(prompt), output_tokens=tokens)
        yield Stopped(reason=reason)


def true_prompt_tokens(prompt: Prompt) -> int:
    """The tokens of a prompt, with those of a usual chat template."""
    return 3 + sum(4 + true_tokens(message.text) for message in prompt.messages)


@dataclass
class Found:
    """What was counted."""

    ratios: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)


def question(number: int) -> str:
    """A question that says which kind of text is wanted, and how many words of it."""
    kind = number % len(KINDS)
    words = random.choice([3, 10, 30, 100, 300])
    return f"{text_of(KINDS[kind], words)} {kind} {random.choice([5, 20, 60, 150, 400, 1500])}"


def left_of(user: Any, limit: int) -> int:
    """The tokens that a user has left."""
    row = Budget.objects.filter(user=user).first()
    return limit - (row.daily_tokens if row else 0)


def ask(user: Any, number: int, limit: int, found: Found) -> bool:
    """Ask one question, in the user's last conversation in four of five cases. Returns whether it was answered."""
    thread = Thread.objects.filter(session__user=user).order_by("-pk").first() if random.random() < 0.8 else None
    text, left = question(number), left_of(user, limit)
    alone = 7 + true_tokens(text)
    try:
        answer = chat.invoke(text, user=user, thread=thread and thread.uuid)
    except BudgetExhausted:
        end = "refused wrongly" if (alone + 1) * 1.1 <= left else "refused"
    else:
        # What the answer would have had in full: as many words as were asked for.
        words = len(answer.text.split(" ")) - 1
        used = left - left_of(user, limit)
        whole = used + (int(text.split()[-1]) - words) * true_tokens(answer.text) / max(1, words)
        is_cut = answer.reason == "length" and used < 4096
        end = ("cut wrongly" if whole * 1.1 <= left else "cut") if is_cut else "answered"
    finally:
        connections.close_all()
    with found.lock:
        found.ends[end] += 1
    return not end.startswith("refused")


def main() -> None:
    """Run both parts, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    random.seed(1)
    logging.disable()
    call_command("migrate", verbosity=0)
    provider = {"BACKEND": "tests.benchmarks.budgets.KnownProvider"}
    site = {"PROVIDERS": {"default": provider}, "STORAGE": True}
    found, charged = Found(), accounts.charge_statements

    def noting(charges: Any) -> Any:
        with found.lock:
            found.ratios += [one.reserved / one.tokens for one in charges if one.tokens]
        return charged(charges)

    accounts.charge_statements = noting
    with (
        override_settings(WALDUR_CHAT={**site, "USER_TOKENS_DAILY": 10**8}),
        ThreadPoolExecutor(options.at_once) as pool,
    ):
        users = [get_user_model().objects.create_user(f"rich {number}") for number in range(options.at_once)]
        for number in range(0, options.turns, options.at_once):
            batch = range(number, min(number + options.at_once, options.turns))
            list(pool.map(lambda one: ask(users[one % len(users)], one, 10**8, found), batch))
    half, nine = statistics.median(found.ratios), statistics.quantiles(found.ratios, n=10)[-1]
    print(
        f"{len(found.ratios)} turns: {dict(found.ends)}; reserved at the end / used: median {half:.2f}, p90 {nine:.2f}"
    )
    small = Found()
    with override_settings(WALDUR_CHAT={**site, "USER_TOKENS_DAILY": 3000}):
        for number in range(40):
            user = get_user_model().objects.create_user(f"poor {number}")
            asked = 0
            while asked < 30 and ask(user, random.randrange(1000), 3000, small):
                asked += 1
    print(f"40 users with 3,000 tokens each: {dict(small.ends)}")


if __name__ == "__main__":
    main()
