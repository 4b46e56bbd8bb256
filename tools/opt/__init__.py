"""The parts of nn-opt: flags, registry and plug-ins, pipelines, instruments, expectations."""
