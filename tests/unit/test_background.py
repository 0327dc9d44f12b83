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
from waldur_chat.runtime import loop as loop_module
from waldur_chat.runtime.loop import background_loop

FORK = """
import asyncio, os, sys
from waldur_chat.runtime.loop import background, background_loop

def works(loop):
    return asyncio.run_coroutine_threadsafe(asyncio.sleep(0, "yes"), loop).result(10)

parents = background_loop()
assert works(parents) == "yes"
background()._lock.acquire()
child = os.fork()
if child:
    background()._lock.release()
    assert background_loop() is parents
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert background_loop() is not parents
assert works(background_loop()) == "yes"
"""

EXIT = """
import asyncio
from waldur_chat.runtime.loop import background, background_loop

async def wait():
    try:
        begun.set()
        await asyncio.sleep(60)
    finally:
        print("closed")

import threading
begun = threading.Event()
asyncio.run_coroutine_threadsafe(wait(), background_loop())
begun.wait(10)
"""


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)


def test_there_is_one_loop() -> None:
    assert background_loop() is background_loop()


def test_it_runs_in_a_thread_that_does_not_keep_the_process() -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    thread = asyncio.run_coroutine_threadsafe(where(), background_loop()).result(30)
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
    one = loop_module.BackgroundLoop()
    left = asyncio.run_coroutine_threadsafe(asyncio.sleep(60), one.loop)
    one.stop()
    one.stop()
    atexit.unregister(one.stop)
    assert one.loop.is_closed()
    assert left.cancelled()


def test_a_child_leaves_the_loop_of_its_parent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = background_loop()
    one = loop_module.background().get()
    monkeypatch.setattr(one, "process", -1)
    one.stop()
    assert loop.is_running()


@pytest.mark.parametrize(("module", "asked", "name"), loop_module.GREENLETS)
def test_where_threads_are_greenlets_nothing_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, module: str, asked: str, name: str
) -> None:
    patched: set[str] = set()
    library: Any = SimpleNamespace(**{asked: patched.__contains__})
    monkeypatch.setitem(sys.modules, module, library)
    loop_module.check_threads()
    patched.add(name)
    with pytest.raises(ImproperlyConfigured, match=module.partition(".")[0]):
        loop_module.check_threads()
    with pytest.raises(ChatNotConfigured, match="greenlets"):
        chat.load()
