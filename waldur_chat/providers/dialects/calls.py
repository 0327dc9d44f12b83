"""Put together the calls of tools that a service sends in fragments, in all the ways in which services send them.

A fragment belongs to a call by its id, else by its index, else by its place; none of these can be trusted alone:

- no index, https://github.com/openai/openai-python/issues/2806; all calls at one index,
  https://github.com/huggingface/smolagents/issues/1958; an index that grows within one call,
  https://github.com/dirac-run/dirac/pull/215;
- no id, and the arguments of several calls glued together, https://github.com/vllm-project/vllm/issues/18412;
- the name after the arguments, or blank until then, https://github.com/vercel/ai/issues/14722.

What cannot be attributed is refused: a wrong call would be worse than none. Arguments that are no JSON although all
their fragments are known are the model's own mistake, and told as they are.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Container, Iterable, Iterator, Sequence

from waldur_chat.errors import ProviderFailed
from waldur_chat.events import CallRequested
from waldur_chat.providers.dialects.fragments import Fragment, objects_in
from waldur_chat.providers.dialects.open_call import OpenCall

MAX_CALLS = 128
"""How many calls one answer may ask for."""

NAME_LENGTH = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_NAMESPACE = "functions."
"""Before the names of tools in the prompts of some models, which then call them so."""

_ID_LENGTH = 5

_DOUBTFUL = "It is not known whether a name was repeated, or began a call."


class CallAssembler:
    """The calls of one answer: `feed()` it the fragments, then `tell()` the calls.

    `offered` are the names of the tools, `taken` the ids of calls in the prompt; the fragments together may be
    `max_size` characters long. Raises `ProviderFailed` for what is no call, or more than may be.
    """

    def __init__(self, offered: Container[str], taken: Iterable[str], max_size: int) -> None:
        self._offered = offered
        self._taken = set(taken)
        self._left = max_size
        self._calls: list[OpenCall] = []
        self._repeated: set[tuple[str, str, str]] = set()
        self._deltas = 0
        self._is_old = False
        self._has_repeated = False
        """Whether a name came again where it may have begun another call."""
        self._is_guessed = False
        """Whether a fragment was given to one of several calls by nothing but its place."""

    @property
    def has_calls(self) -> bool:
        return bool(self._calls)

    def feed(self, fragments: Iterable[Fragment]) -> None:
        """Take the fragments of a delta."""
        self._deltas += 1
        for fragment in fragments:
            if not self._calls:
                self._is_old = fragment.is_old
            if fragment.is_old == self._is_old:  # Else the same in the other field.
                self._add(fragment, self._call_of(fragment) or self._new(fragment))

    def feed_whole(self, fragments: Sequence[Fragment]) -> None:
        """Take the calls of a message, each of them whole. A later message may repeat those of an earlier one."""
        told = {(fragment.id, fragment.name, fragment.arguments) for fragment in fragments}
        for fragment in fragments:
            if (fragment.id, fragment.name, fragment.arguments) not in self._repeated:
                self._add(fragment, self._new(fragment))
        self._repeated |= told

    def tell(self, *, is_end: bool, is_cut: bool) -> list[CallRequested]:
        """The calls that were not told yet.

        Before the end of the stream there are none unless all are whole. `is_cut` means that the model was stopped.
        """
        calls = [call for call in self._calls if call.name or not call.is_blank]
        if not all(call.is_whole for call in calls):
            if not is_end:
                return []
            if is_cut:
                raise ProviderFailed("The model was stopped within a call of a tool.")
        events = [event for call in calls for event in self._events(call)]
        if sum(len(call.told) for call in calls) > MAX_CALLS:
            raise ProviderFailed("The model asked for too many calls.")
        return events

    def _may_be_part(self, call: OpenCall) -> bool:
        """Whether a call with neither arguments nor an id may be a part of another call of the same tool."""
        others = (one for one in self._calls if one is not call and one.index == call.index)
        return call.is_blank and not call.id and any(one.name == call.name for one in others)

    def _events(self, call: OpenCall) -> Iterator[CallRequested]:
        if not call.name.strip():
            raise ProviderFailed("The model called a tool without a name.")
        arguments = call.arguments()
        if call.is_doubtful or self._may_be_part(call):
            raise ProviderFailed(_DOUBTFUL)
        if self._is_guessed and not objects_in(arguments[0]):
            raise ProviderFailed("The fragments of several calls cannot be told apart.")
        if arguments[: len(call.told)] != call.told:
            raise ProviderFailed("A call went on after its end.")
        new, call.told = arguments[len(call.told) :], arguments
        for text in new:
            yield CallRequested(id=self._new_id(), name=self._name(call), arguments=text, extra=dict(call.extra))

    def _name(self, call: OpenCall) -> str:
        """The name as services take it back. What no tool can be called is changed, and ends with `_`: it is none."""
        name = call.name.strip()
        bare = name.removeprefix(_NAMESPACE)
        if bare in self._offered:
            return bare
        changed = _NOT_IN_NAMES.sub("_", name)
        return name if changed == name and len(name) <= NAME_LENGTH else f"{changed[: NAME_LENGTH - 1]}_"

    def _new_id(self) -> str:
        """An id that suits every service: Mistral takes nine letters and digits, and nothing else."""
        while (call_id := "call" + secrets.token_hex(_ID_LENGTH)[:_ID_LENGTH]) in self._taken:
            pass
        self._taken.add(call_id)
        return call_id

    # Which call a fragment belongs to.

    def _call_of(self, fragment: Fragment) -> OpenCall | None:
        """The call that the fragment continues; None if it begins one. Raises `ProviderFailed` if that is not known."""
        last = self._calls[-1] if self._calls else None
        here = last if fragment.index is None else self._at(fragment.index)
        if fragment.id:
            return self._by_id(fragment, here)
        if fragment.name:
            return self._by_name(fragment, here, last)
        call = here if fragment.index is not None and here and here.takes(fragment) else self._by_place()
        return None if call and call.is_late and call.begins_another(fragment) else call

    def _by_id(self, fragment: Fragment, here: OpenCall | None) -> OpenCall | None:
        same = [call for call in self._calls if call.id == fragment.id]
        if same:
            call = next((call for call in reversed(same) if call.index == fragment.index), same[-1])
            is_elsewhere = None not in (fragment.index, call.index) and fragment.index != call.index
            if not self._may_name(call, fragment) or (is_elsewhere and call.begins_another(fragment)):
                return None  # One id for all calls.
            is_certain = call.extent.is_closed and not call.is_blank and bool(fragment.arguments.strip())
            if is_elsewhere and fragment.name and not is_certain:
                raise ProviderFailed("Several calls have one id.")
            return call
        if here is None or here.extent.is_closed:
            return None
        # An id that comes late, or a new one with each fragment.
        is_late = not here.id and self._may_name(here, fragment)
        return here if is_late or (here.extent.is_open and not fragment.name) else None

    def _by_name(self, fragment: Fragment, here: OpenCall | None, last: OpenCall | None) -> OpenCall | None:
        if here:
            return here if self._may_name(here, fragment) else None
        if last and last.id and last.name == fragment.name:  # Who sends ids begins no call without one.
            return last
        if last and last.id and not last.name:
            raise ProviderFailed("It is not known whether a name is that of the last call.")
        open_ = [call for call in self._calls if call.name == fragment.name and call.extent.is_open]
        if not open_ or not fragment.arguments:
            return None
        if fragment.arguments.lstrip().startswith("{"):
            raise ProviderFailed("It is not known whether a fragment begins a call.")
        return open_[-1]

    def _at(self, index: int) -> OpenCall | None:
        return next((call for call in reversed(self._calls) if call.index == index), None)

    def _by_place(self) -> OpenCall | None:
        """The open call; the last one if none is. Raises `ProviderFailed` if it may be one of several."""
        if len(self._calls) < 2:
            return self._calls[0] if self._calls else None
        self._is_guessed = True
        last = self._calls[-1]
        open_ = [call for call in self._calls if call.extent.is_open or self._waits(call, last)]
        if len(open_) > 1:
            raise ProviderFailed("A fragment may belong to several calls.")
        return open_[0] if open_ else last

    def _waits(self, call: OpenCall, last: OpenCall) -> bool:
        """Whether the call may still wait for its arguments, and is not an earlier one that has none."""
        return call.begun == last.begun and not call.extent.is_closed

    def _may_name(self, call: OpenCall, fragment: Fragment) -> bool:
        """Whether the fragment's name, if it has one, is that of this call, or the next part of it."""
        if not fragment.name or fragment.name == call.name:
            return True
        if not call.name:
            return not call.begins_another(fragment)
        return not call.parts and call.name + fragment.name in self._offered

    # What becomes of it.

    def _new(self, fragment: Fragment) -> OpenCall:
        if self._has_repeated and not fragment.name:
            raise ProviderFailed(_DOUBTFUL)
        call = OpenCall(id=fragment.id, index=fragment.index, begun=self._deltas)
        self._calls.append(call)
        if len(self._calls) > MAX_CALLS:
            raise ProviderFailed("The model asked for too many calls.")
        return call

    def _add(self, fragment: Fragment, call: OpenCall) -> None:
        self._left -= len(fragment.id) + len(fragment.name) + len(fragment.arguments) + len(str(fragment.extra))
        if self._left < 0:
            raise ProviderFailed("The calls of the model are endless.")
        if fragment.name and fragment.name == call.name:
            begins = call.extent.is_closed or (call.id and not fragment.id)
            self._has_repeated = self._has_repeated or bool(begins)
        call.add(fragment)
