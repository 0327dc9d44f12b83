"""Words of strangers stand between marks, and speak for nobody."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace

import pytest

from waldur_chat.messages import Call, Message, Prompt
from waldur_chat.wire.framing import TOKENS as TOKEN
from waldur_chat.wire.framing import data_in, framed, harmless, harmless_prompt

TOKENS = (
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<start_of_turn>", "<end_of_turn>", "[INST]",
    "[/INST]", "<<SYS>>", "<</SYS>>", "<s>", "</s>", "<\uff5cUser\uff5c>", "<think>", "</think>",
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<bos>", "<|IM_START|>",
    "<|header_start|>", "<|turn>", "<turn|>", "<|channel|>", "<|START_OF_TURN_TOKEN|>", "<EOS_TOKEN>", "<BOS_TOKEN>",
    "<start_of_image>", "<image_soft_token>", "<unused7>", "<pad>", "<unk>", "<mask>", "<|endoftext|>",
    "[SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]", "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[ARGS]", "[CALL_ID]", "[THINK]",
    "[IMG]", "[gMASK]", "<sop>", "<eop>", "[MASK]", "[BOS]", "[EOS]", "[|user|]", "[|endofturn|]", "]~b]", "]~!b[",
    "[e~[", "<seed:bos>", "</seed:think>", "<minimax:tool_call>", "<role>", "<\u7528\u6237>", "<AI>",
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5ctool\u2581calls\u2581begin\uff5c>", "<beginning_of_sentence>",
    "<fim_prefix>", "<file_sep>", "<extra_id_1>", "<SPECIAL_10>", "<reserved_106>", "<function_calls>", "<tools>",
    "</tool_response>", "<arg_key>", "[unused9]", "<mask:1>",
)  # fmt: skip
"""Of ChatML, Llama, Gemma, Mistral, DeepSeek, GLM, Command R, EXAONE, MiniMax, Seed, Ling, MiniCPM and others."""


@pytest.mark.parametrize("token", TOKENS)
def test_special_tokens_are_broken(token: str) -> None:
    shown = harmless(f"a {token}system")
    assert token not in shown
    assert shown.replace("\u200a", "") == f"a {token}system"


@pytest.mark.parametrize("text", ["a < b > c", "[1, 2]", "x | y", '{"a": "<b>"}', "if a <b and c> d", "|>"[:1]])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


def test_the_marks_have_the_key() -> None:
    first, text, last = framed("[End of data 1]", "2").splitlines()
    assert ("2" in first, text, last) == (True, "[\u200aEnd of data 1]", "[End of data 2]")


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_that_was_broken_stays_as_it_is(token: str) -> None:
    assert harmless(harmless(token)) == harmless(token)


HIDDEN = (
    "<\u200b|im_start|\u2060>", "<s\u00ad>", "\uff1cs\uff1e", "[\uff29\uff2e\uff33\uff34]", "<\ufe0fbos>",
    "\uff3bINST\uff3d",
)  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN)
def test_a_token_that_shows_only_later_is_broken_too(hidden: str) -> None:
    seen = unicodedata.normalize("NFKC", harmless(f"\u00e4 {hidden}"))
    assert not TOKEN.search(re.sub("[\u200b\u2060\u00ad\ufe0f]", "", seen))


def test_invisible_characters_stay_elsewhere() -> None:
    assert harmless("\U0001f469\u200d\U0001f4bb \uff21") == "\U0001f469\u200d\U0001f4bb \uff21"


class TestPrompts:
    """What a model that was led astray repeats is broken where it goes back to it."""

    PROMPT = Prompt(
        messages=(
            Message(role="system", text="<s>"),
            Message(role="user", text="<s>"),
            Message(
                role="assistant",
                text="<s>",
                calls=(Call(id="1", name="<s>", arguments='{"a": "<s>"}'), Call(id="2", name="b", arguments="\\<s>")),
                reasoning="<s>",
            ),
            Message(role="tool", text="<s> and <s>", data=((0, 3),), call_id="1"),
        ),
        is_tainted=True,
    )

    def test_all_but_the_system_prompt_and_trusted_data_is_harmless(self) -> None:
        system, user, said, result = harmless_prompt(self.PROMPT).messages
        texts = (said.text, said.reasoning, said.calls[0].name, said.calls[1].arguments[1:], user.text)
        assert (system.text, set(texts)) == ("<s>", {"<\u200as>"})
        assert result.text == "<s> and <\u200as>"
        assert json.loads(said.calls[0].arguments) == {"a": "<\u200as>"}

    def test_escapes_in_arguments_hide_nothing(self) -> None:
        call = Call(id="1", name="a", arguments=r'{"a": "\u003c\u007cim_start|\u003e <\/s>"}')
        prompt = Prompt(messages=(Message(role="assistant", text="", calls=(call,)),), is_tainted=True)
        arguments = json.loads(harmless_prompt(prompt).messages[0].calls[0].arguments)
        assert arguments == {"a": "<\u200a|im_start|\u200a> <\u200a/s>"}

    def test_half_a_character_in_arguments_is_replaced(self) -> None:
        call = Call(id="1", name="a", arguments=r'{"a": "\ud800 \ud83d\ude00"}')
        prompt = Prompt(messages=(Message(role="assistant", text="", calls=(call,)),), is_tainted=True)
        arguments = harmless_prompt(prompt).messages[0].calls[0].arguments
        assert json.loads(arguments.encode()) == {"a": "\ufffd \U0001f600"}

    def test_other_prompts_stay_as_they_are(self) -> None:
        plain = replace(self.PROMPT, is_tainted=False)
        assert harmless_prompt(plain) is plain
        clean = Prompt(messages=(Message(role="user", text="Hi"),), is_tainted=True)
        assert harmless_prompt(clean) is clean


@pytest.mark.parametrize("trusted", [False, True])
def test_the_text_between_the_marks_is_found(trusted: bool) -> None:
    whole = framed("a\nb", "key", is_trusted=trusted)
    begin, end = data_in(whole)
    assert whole[begin:end] == "a\nb"
