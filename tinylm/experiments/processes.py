"""How processes that train are started."""

import multiprocessing
import platform
from multiprocessing.context import ForkContext, ForkServerContext, SpawnContext


def process_context() -> ForkServerContext | SpawnContext | ForkContext:
    """Processes that start in milliseconds, with torch already imported, where that is safe."""
    if platform.system() == "Linux":
        context = multiprocessing.get_context("forkserver")
        # An optimiser imports torch._dynamo when it is made: seconds, if every run did it anew.
        modules = ["tinylm.experiments.executors.local", "torch._dynamo"]
        context.set_forkserver_preload(modules)
        return context
    return multiprocessing.get_context("spawn")
