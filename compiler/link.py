"""From an artifact to an executable. Nothing here imports xDSL: a cached model is there quickly."""

from __future__ import annotations

from functools import cache

from ..lowering.llvm_to_object import compile as to_object
from ..lowering.llvm_to_object import link
from ..lowering.program.threads import POOL_BARRIER, POOL_BYTES, WORKER_BYTES, pool_text
from ..runtime.artifact import Artifact
from ..runtime.executable import Executable
from ..runtime.threads import PoolCode
from ..targets import resolve
from .options import Options


def link_artifact(artifact: Artifact, options: Options) -> Executable:
    """Load the object code and bind the program to it."""
    library = link(artifact.objects, artifact.symbols) if artifact.symbols else None
    addresses = [library.address(symbol) for symbol in artifact.symbols] if library else []
    return Executable(artifact.linked(addresses, library), options.threads, pool_code)


@cache
def pool_code() -> PoolCode:
    """The thread pool's code, for this machine; compiled once."""
    host = resolve("cpu")
    functions = ("nnc.run", "nnc.worker")
    library = link([to_object(pool_text(host.triple), host)], functions)
    run, worker = (library.address(name) for name in functions)
    return PoolCode(run, worker, POOL_BYTES, WORKER_BYTES, POOL_BARRIER, library)
