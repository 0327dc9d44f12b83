"""Every operation that one release of waldur-api-client has for the chat, called once: prints what came of each.

    python scenario.py ADDRESS OWNER_TOKEN STAFF_TOKEN OWNER_UUID

The release is the one on the path. What is printed is JSON: of each operation "ok", or the error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Any
from uuid import UUID

FOLDERS = ("chat", "chat_messages", "chat_quota", "chat_sessions", "chat_system_prompts", "chat_threads", "chat_tools")
client_package = import_module("waldur_api_client")
errors = import_module("waldur_api_client.errors")


def _skip_the_index_of_models() -> None:
    """Importing that would import thousands of modules, of which a few are needed."""
    package = ModuleType("waldur_api_client.models")
    package.__path__ = [f"{path}/models" for path in client_package.__path__]
    sys.modules[package.__name__] = package


def has_model(name: str) -> bool:
    """Whether this release has a model of this name."""
    return find_spec(_place_of(name)) is not None


def model(name: str) -> Any:
    """A model by its name."""
    return getattr(import_module(_place_of(name)), name)


def _place_of(name: str) -> str:
    return "waldur_api_client.models." + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


_skip_the_index_of_models()


def operations() -> list[str]:
    """The names of all operations of the chat that this release has."""
    found = []
    for folder in FOLDERS:
        try:
            package = import_module(f"waldur_api_client.api.{folder}")
        except ModuleNotFoundError:
            continue
        found += [f"{folder}.{module.name}" for module in iter_modules(package.__path__)]
    return found


class Scenario:
    """The things that operations need: a thread with a question and an answer, a prompt, clients."""

    def __init__(self, address: str, owner: str, staff: str, owner_uuid: str) -> None:
        self.owner = client_package.AuthenticatedClient(base_url=address, token=owner, prefix="Token")
        self.staff = client_package.AuthenticatedClient(base_url=address, token=staff, prefix="Token")
        self.owner_uuid = UUID(owner_uuid)
        self.thread = self.question = self.answer = self.session = self.prompt = UUID(int=0)

    def prepare(self) -> None:
        """Ask once, and look up what came of it."""
        self.chat_stream()
        self.thread = self.call("chat_threads.chat_threads_list")[0].uuid
        said = self.call("chat_messages.chat_messages_list", thread=self.thread)
        self.question, self.answer = (message.uuid for message in said)
        self.session = self.call("chat_sessions.chat_sessions_current_retrieve").uuid

    def call(self, name: str, *path: UUID, staff: bool = False, **arguments: Any) -> Any:
        """The parsed answer of an operation."""
        module = import_module(f"waldur_api_client.api.{name}")
        return module.sync(*path, client=self.staff if staff else self.owner, **arguments)

    def detailed(self, name: str, *path: UUID, **arguments: Any) -> None:
        """Call an operation that parses no answer."""
        import_module(f"waldur_api_client.api.{name}").sync_detailed(*path, **arguments)

    def chat_stream(self, text: str = "fake:tokens=3", **fields: Any) -> None:
        """Ask. From 7.9.7 on the generated function raises even on 200; what was sent is in the exception."""
        module = import_module("waldur_api_client.api.chat.chat_stream")
        body = model("ChatRequestRequest")(input_=text, **fields)
        try:
            content = module.sync_detailed(client=self.owner, body=body).content
        except errors.UnexpectedStatus as error:
            content = error.content if error.status_code == 200 else b""
        text = content.decode()
        assert "w1 " in text, text

    def modes(self) -> None:
        """Go on, reload and edit in the thread, as far as this release knows of that; at last an answer that fails."""
        self.chat_stream(thread_uuid=self.thread)
        if has_model("ChatRequestModeEnum"):
            said = self.call("chat_messages.chat_messages_list", thread=self.thread)
            mode = model("ChatRequestModeEnum")
            self.chat_stream(thread_uuid=self.thread, mode=mode("reload"))
            if "edit" in mode.__members__.values():
                self.chat_stream(thread_uuid=self.thread, mode=mode("edit"), edit_message_uuid=said[-2].uuid)
        self.chat_stream("fake:tokens=3&fault=2", thread_uuid=self.thread)

    def steps(self) -> dict[str, Callable[[], Any]]:
        """What each operation is called with."""
        thread, messages, sessions = (
            "chat_threads.chat_threads_",
            "chat_messages.chat_messages_",
            "chat_sessions.chat_sessions_",
        )
        prompts, quota = "chat_system_prompts.chat_system_prompts_", "chat_quota.chat_quota_"
        return {
            "chat.chat_stream": self.modes,
            f"{thread}list": lambda: self._filled(
                self.call(f"{thread}list", page=1, page_size=10, user=self.owner_uuid)
            ),
            f"{thread}count": lambda: self._positive(self.call(f"{thread}count")),
            f"{thread}retrieve": lambda: self.call(f"{thread}retrieve", self.thread),
            f"{thread}create": lambda: self.call(f"{thread}create", body=self._thread("Plans")),
            f"{thread}update": lambda: self.call(f"{thread}update", self.thread, body=self._thread("Named")),
            f"{thread}partial_update": lambda: self.call(f"{thread}partial_update", self.thread, body=self._patch()),
            f"{thread}archive": lambda: self._with_or_without(f"{thread}archive"),
            f"{thread}unarchive": lambda: self._with_or_without(f"{thread}unarchive"),
            f"{thread}cancel": lambda: self._with_or_without(f"{thread}cancel"),
            f"{thread}stats_retrieve": lambda: self.call(f"{thread}stats_retrieve"),
            f"{messages}list": lambda: self._failed_at_last(self.call(f"{messages}list", thread=self.thread)),
            f"{messages}count": lambda: self._positive(self.call(f"{messages}count", thread=self.thread)),
            f"{messages}create": lambda: self.call(f"{messages}create", body=self._message()),
            f"{messages}edit": lambda: self.call(f"{messages}edit", self._last_question(), body=self._edit()),
            f"{messages}history_list": lambda: self._filled(self.call(f"{messages}history_list", self.question)),
            f"{messages}retrieve": lambda: self.call(f"{messages}retrieve", self.question),
            f"{messages}feedback": lambda: self.call(f"{messages}feedback", self.answer, body=self._feedback()),
            f"{sessions}list": lambda: self._filled(self.call(f"{sessions}list")),
            f"{sessions}count": lambda: self._positive(self.call(f"{sessions}count")),
            f"{sessions}current_count": lambda: self._positive(self.call(f"{sessions}current_count")),
            f"{sessions}current_retrieve": lambda: self.call(f"{sessions}current_retrieve"),
            f"{sessions}retrieve": lambda: self.call(f"{sessions}retrieve", self.session),
            "chat_tools.chat_tools_execute": self._execute,
            f"{quota}usage_retrieve": lambda: self.call(f"{quota}usage_retrieve", user_uuid=self.owner_uuid),
            f"{quota}set_quota": lambda: self.detailed(f"{quota}set_quota", client=self.staff, body=self._quota()),
            f"{prompts}create": lambda: self._keep(self.call(f"{prompts}create", staff=True, body=self._prompt())),
            f"{prompts}list": lambda: self._filled(self.call(f"{prompts}list", staff=True)),
            f"{prompts}count": lambda: self._positive(self.call(f"{prompts}count", staff=True)),
            f"{prompts}retrieve": lambda: self.call(f"{prompts}retrieve", self.prompt, staff=True),
            f"{prompts}update": lambda: self.call(f"{prompts}update", self.prompt, staff=True, body=self._prompt()),
            f"{prompts}partial_update": lambda: self.call(
                f"{prompts}partial_update",
                self.prompt,
                staff=True,
                body=model("PatchedSystemPromptRequest")(description="Changed"),
            ),
            f"{prompts}activate": lambda: self.call(f"{prompts}activate", self.prompt, staff=True, body=self._prompt()),
            f"{prompts}deactivate": lambda: self.call(
                f"{prompts}deactivate", self.prompt, staff=True, body=self._prompt()
            ),
            f"{prompts}destroy": lambda: self.detailed(f"{prompts}destroy", self.prompt, client=self.staff),
        }

    def _with_or_without(self, name: str) -> None:
        """Older releases send a body, newer ones none; none of them parses an answer."""
        takes_body = "body" in import_module(f"waldur_api_client.api.{name}").sync_detailed.__annotations__
        body = {"body": self._thread("Named")} if takes_body else {}
        self.detailed(name, self.thread, client=self.owner, **body)

    def _last_question(self) -> UUID:
        said = self.call("chat_messages.chat_messages_list", thread=self.thread)
        return UUID(str([message.uuid for message in said if str(message.role) == "user"][-1]))

    def _keep(self, prompt: Any) -> None:
        self.prompt = prompt.uuid

    def _execute(self) -> None:
        """A tool with arguments, and one without, whose result has a block for the page."""
        arguments: Any = {"size": "small"}  # As release 8.0.2 takes them.
        if has_model("ToolExecuteRequestArguments"):
            arguments = model("ToolExecuteRequestArguments").from_dict(arguments)
        body = model("ToolExecuteRequest")
        quote = self.call("chat_tools.chat_tools_execute", body=body(tool="quote", arguments=arguments))
        board = self.call("chat_tools.chat_tools_execute", body=body(tool="show_board"))
        assert (quote["data"]["size"], board["ui_component"]) == ("SMALL", "homeport_nav")

    def _filled(self, rows: list[Any]) -> None:
        assert rows

    def _failed_at_last(self, said: list[Any]) -> None:
        """The last message is an answer that has failed, of which a release may know the blocks, and not the status."""
        last = said[-1]
        assert last["status"] == "failed", last
        assert not hasattr(last, "blocks") or last.blocks[-1].status == "incomplete", last

    def _positive(self, count: int) -> None:
        assert count > 0

    def _thread(self, name: str) -> Any:
        return model("ThreadSessionRequest")(name=name)

    def _patch(self) -> Any:
        names = [name for name in ("PatchedThreadSessionRequest", "ThreadSessionRequest") if has_model(name)]
        return model(names[0])(name="Named again")

    def _message(self) -> Any:
        return model("MessageRequest")(thread=self.thread, role=model("MessageRoleEnum").USER, content="By hand")

    def _edit(self) -> Any:
        return model("ChatMessagesEditBody")(content="Edited by hand")

    def _feedback(self) -> Any:
        return model("MessageFeedbackRequest")(
            score=False, comment="Not quite", category=model("FeedbackCategoryEnum").INCOMPLETE
        )

    def _quota(self) -> Any:
        return model("SetTokenQuotaRequest")(user_uuid=self.owner_uuid, daily_limit=100_000, weekly_limit=-1)

    def _prompt(self) -> Any:
        return model("SystemPromptRequest")(name="House rules", custom_instructions="You are {assistant_name}.")


def main(address: str, owner: str, staff: str, owner_uuid: str) -> None:
    """Call everything, and print what came of it."""
    scenario = Scenario(address, owner, staff, owner_uuid)
    scenario.prepare()
    steps = scenario.steps()
    results = {name: "this scenario does not know it" for name in operations() if name not in steps}
    for name in [name for name in steps if name in operations()]:
        try:
            steps[name]()
            results[name] = "ok"
        except Exception as error:
            results[name] = f"{type(error).__name__}: {error}"[:500]
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
