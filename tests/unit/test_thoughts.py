"""Where the answer begins in a text that may begin with thoughts."""

from __future__ import annotations

import pytest

from waldur_chat.wire.thoughts import answer_start, without_thoughts


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ("", ""),
        ("A greeting", "A greeting"),
        ("I think so.", "I think so."),
        ("<think>hm</think>A greeting", "A greeting"),
        ("\n <think>\nhm\n</think>\n\nA greeting", "A greeting"),
        ("<thinking>hm</think></thinking>A greeting", "A greeting"),
        ("<think></think>A greeting", "A greeting"),
        ("<think>hm</think>\n<think>well</think>\nA greeting", "A greeting"),
        ("<think>hm</think>Use <think> and\n</think>\n.", "Use <think> and\n</think>\n."),
        ("<think>hm", ""),
        ("<think>hm</think>", ""),
        ("Okay.\nSo, a title.\n</think>\n\nA greeting", "A greeting"),
        ("Okay.\r\n</think>\r\nA greeting", "A greeting"),
        ("Okay.\n</thinking> \t\nA greeting", "A greeting"),
        ("</think>\n\nA greeting", "A greeting"),
        ("Okay.\n</think>", ""),
        ("One.\n</think>\nTwo.\n</think>\nThree.", "Two.\n</think>\nThree."),
        ("Okay.</think>\nA greeting", "Okay.</think>\nA greeting"),
        ("Okay.\n</think> A greeting", "Okay.\n</think> A greeting"),
        ("Use <think> and\n</think>\n.", "Use <think> and\n</think>\n."),
        ("What the <think> tag is for", "What the <think> tag is for"),
        ("`<think>` is a tag", "`<think>` is a tag"),
        ("<thinker> is no tag", "<thinker> is no tag"),
        ("Write:\n```\n</think>\n```\nDone.", "Write:\n```\n</think>\n```\nDone."),
        ("So:\n```\n</think>\n```\n</think>\nDone.", "Done."),
    ],
)
def test_thoughts_at_the_beginning_are_not_the_answer(written: str, answer: str) -> None:
    assert without_thoughts(written) == answer
    assert answer_start(written) == len(written) - len(answer)
