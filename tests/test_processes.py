"""Processes that train have torch already, and it is imported while the command imports its own."""

import subprocess
import sys

import pytest

EARLY = """
import sys, psutil, tinylm.cli
from tinylm.sweeps.processes import process_context, start_early

start_early()
children = [" ".join(child.cmdline()) for child in psutil.Process().children()]
print(any("forkserver" in command for command in children), "torch" in sys.modules, flush=True)
said = "import sys; print('torch._dynamo' in sys.modules, 'pandas' in sys.modules, flush=True)"
process = process_context().Process(target=exec, args=(said,))
process.start()
process.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every process imports by itself")
def test_the_server_starts_before_torch_is_imported_and_shares_it() -> None:
    command = [sys.executable, "-c", EARLY]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == ["True False", "True False"]
