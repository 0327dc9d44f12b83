"""Objects of which each process has one of its own."""

from __future__ import annotations

import os
import sys

import pytest

from waldur_chat.runtime.forked import PerProcess


def test_a_process_has_one() -> None:
    one = PerProcess(dict[str, int])
    one()["a"] = 1
    assert one() == {"a": 1}


def test_it_can_be_made_anew() -> None:
    one = PerProcess(list[int])
    one().append(1)
    one.reset()
    assert one() == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_one_of_its_own() -> None:
    one = PerProcess(list[int])
    one().append(1)
    child = os.fork()
    if not child:
        os._exit(len(one()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert one() == [1]
