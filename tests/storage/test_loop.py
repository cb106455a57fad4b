"""One event loop per process, whoever asks first."""

import asyncio
import multiprocessing
import sys
import threading

import pytest

from spectralearth_build.storage import loop


async def own():
    await asyncio.sleep(0)
    return id(asyncio.get_running_loop())


@pytest.fixture
def _fresh(monkeypatch):
    monkeypatch.setattr(loop, "_own", None)
    pause = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(pause)


@pytest.mark.usefixtures("_fresh")
def test_threads_that_ask_first_at_the_same_time_share_a_loop():
    for _ in range(20):
        loop._forget()
        start, found = threading.Barrier(8), []

        def ask(start=start, found=found):
            start.wait()
            found.append(loop.submit(own()).result(10))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1


def test_a_forked_process_has_a_loop_of_its_own():
    loop.submit(own()).result(10)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: loop.submit(own()).result(10))
    child.start()
    child.join(20)
    assert child.exitcode == 0
