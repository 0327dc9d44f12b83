"""The background loop: one per process, started when it is needed, and gone with the process."""

from __future__ import annotations

import asyncio
import atexit
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from waldur_chat import chat
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.runtime import loop as background_loop

FORK = """
import asyncio, os, sys
from waldur_chat.engine import background

def works(loop):
    return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "yes"), loop).result(10)

parents = background.loop()
assert works(parents) == "yes"
background._lock.acquire()
child = os.fork()
if child:
    background._lock.release()
    assert background.loop() is parents
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert background.loop() is not parents
assert works(background.loop()) == "yes"
"""

EXIT = """
import asyncio
from waldur_chat.engine import background

async def wait():
    try:
        begun.set()
        await asyncio.sleep(60)
    finally:
        print("closed")

import threading
begun = threading.Event()
asyncio.run_coroutine_threadsafe(wait(), background.loop())
begun.wait(10)
"""


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def test_there_is_one_loop() -> None:
    assert background_loop.loop() is background_loop.loop()


def test_it_runs_in_a_thread_that_does_not_keep_the_process() -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    thread = asyncio.run_coroutine_threadsafe(where(), background_loop.loop()).result(30)
    assert (thread.name, thread.daemon) == ("waldur-chat", True)


def test_importing_starts_no_thread() -> None:
    done = python("import threading, waldur_chat.runtime.loop; assert threading.active_count() == 1")
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs os.fork")
def test_a_forked_child_starts_its_own() -> None:
    done = python(f"import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n{FORK}")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_still_runs_at_exit_is_cancelled_in_order() -> None:
    done = python(EXIT)
    assert (done.stdout, done.stderr) == ("closed\n", "")


def test_stopping_closes_the_loop() -> None:
    one = background_loop._Background()
    left = asyncio.run_coroutine_threadsafe(asyncio.sleep(60), one.loop)
    one.stop()
    one.stop()
    atexit.unregister(one.stop)
    assert one.loop.is_closed()
    assert left.cancelled()


def test_a_child_forgets_the_loop_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_loop, "_background", background_loop._background)
    monkeypatch.setattr(background_loop, "_lock", background_loop._lock)
    background_loop._forget()
    assert background_loop._background is None


def test_a_child_leaves_the_loop_of_its_parent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = background_loop.loop()
    one = background_loop._background
    assert one is not None
    monkeypatch.setattr(one, "process", -1)
    one.stop()
    assert loop.is_running()


@pytest.mark.parametrize(("module", "asked", "name"), background_loop.GREENLETS)
def test_where_threads_are_greenlets_nothing_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, module: str, asked: str, name: str
) -> None:
    patched: set[str] = set()
    library: Any = SimpleNamespace(**{asked: patched.__contains__})
    monkeypatch.setitem(sys.modules, module, library)
    background_loop.check()
    patched.add(name)
    with pytest.raises(ImproperlyConfigured, match=module.partition(".")[0]):
        background_loop.check()
    with pytest.raises(ChatNotConfigured, match="greenlets"):
        chat.load()
