"""The systems that are measured, each behind a function from inputs to outputs.

`systems.worker` is the program that runs one of them in a process of its own. torch and openvino
are untyped, and imported nowhere else.
"""
