import os
import signal
import subprocess
import sys
import threading

import pytest

from spectralearth_build.errors import StoppedError
from spectralearth_build.signals import raise_if_stopped, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_next_safe_point(number, capfd):
    before = signal.getsignal(number)
    with stop_on_signals():
        raise_if_stopped()
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError, match=signal.Signals(number).name):
            raise_if_stopped()
    raise_if_stopped()  # forgotten outside
    assert signal.getsignal(number) is before
    assert "Stopping" in capfd.readouterr().err


def test_the_second_signal_kills():
    program = (
        "import os, signal, time\n"
        "from spectralearth_build.signals import stop_on_signals\n"
        "with stop_on_signals():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('alive', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert done.stdout == "alive\n"
    assert done.returncode == -signal.SIGTERM


def test_other_threads_may_enter_it():
    seen = []

    def work():
        with stop_on_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
