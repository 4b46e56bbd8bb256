"""Classify files with magika's network, compiled by nnc: `make run`.

    python examples/classify_files.py [FILE ...] [--threads N] [--compare]

Fetches the model that ships inside the PyPI package `magika`, compiles it, and says for each file
what it holds: by default for the files of this repository. The features (first and last bytes) and
the rules for low confidence are those of magika's own Python client, read from its configuration.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import nnc
from nnc.core.packages import PackagedFile

REPOSITORY = Path(__file__).resolve().parent.parent
FILES_SHOWN = 40

Array = np.ndarray[Any, Any]
Network = Callable[[Array], Array]
"""Bytes i32[n, 2048] to probabilities f32[n, labels]."""


def _file(member: str, sha256: str) -> PackagedFile:
    return PackagedFile("magika", "1.0.3", f"magika/{member}", sha256)


MODEL = _file(
    "models/standard_v3_3/model.onnx",
    "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
)
CONFIG = _file(
    "models/standard_v3_3/config.min.json",
    "ae24c742205358f6ff6dfd5facb6743fb69743dbba8373e73da58ff0cbd695db",
)
CONTENT_TYPES = _file(
    "config/content_types_kb.min.json",
    "75208adba69bc0556403b62b32ef3ccf8b5ce494411780845852e52e6583a10d",
)


@dataclass(frozen=True)
class Verdict:
    """What a file holds, how sure that is (None: too short to ask the network), and seconds."""

    label: str
    confidence: float | None
    seconds: float


class Classifier:
    """Files to labels through a network."""

    def __init__(self, network: Network):
        self.network = network
        self.config = json.loads(CONFIG.fetch().read_text())
        self.content_types = json.loads(CONTENT_TYPES.fetch().read_text())

    def classify(self, path: Path) -> Verdict:
        """The verdict on one file, one run of the network."""
        start = time.perf_counter()
        content = path.read_bytes()
        if len(content) < self.config["min_file_size_for_dl"]:
            return Verdict(self._short(content), None, time.perf_counter() - start)
        features = self.features(content)
        if features[self.config["min_file_size_for_dl"] - 1] == self.config["padding_token"]:
            return Verdict(self._short(content), None, time.perf_counter() - start)
        probabilities = self.network(features[None, :])[0]
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        label = self._label(self.config["target_labels_space"][best], confidence)
        return Verdict(label, confidence, time.perf_counter() - start)

    def features(self, content: bytes) -> Array:
        """i32[2048]: the first and last bytes without white space, padded between them."""
        config = self.config
        block = min(config["block_size"], len(content))
        head = content[:block].lstrip()[: config["beg_size"]]
        tail = content[len(content) - block :].rstrip()[-config["end_size"] :]
        features = np.full(config["beg_size"] + config["end_size"], config["padding_token"])
        features[: len(head)] = list(head)
        features[len(features) - len(tail) :] = list(tail)
        return features.astype(np.int32)

    def _label(self, found: str, confidence: float) -> str:
        """`found`, or a generic label where the network is not sure enough."""
        label = self.config["overwrite_map"].get(found, found)
        needed = self.config["medium_confidence_threshold"]
        if confidence >= self.config["thresholds"].get(found, needed):
            return label
        return "txt" if self.content_types[label]["is_text"] else "unknown"

    def _short(self, content: bytes) -> str:
        if not content:
            return "empty"
        try:
            content.decode()
        except UnicodeDecodeError:
            return "unknown"
        return "txt"


def compiled_network(threads: int | None) -> tuple[Network, float]:
    """The network through nnc, and the seconds from the ONNX file to the first result."""
    path = MODEL.fetch()
    start = time.perf_counter()
    executable = nnc.compile(path, threads=threads)

    def run(features: Array) -> Array:
        return executable({"bytes": features})["target_label"]

    run(np.zeros((1, 2048), np.int32))
    return run, time.perf_counter() - start


def onnxruntime_network() -> Network:
    """The same network through onnxruntime."""
    onnxruntime: Any = import_module("onnxruntime")  # untyped, and only needed here
    session = onnxruntime.InferenceSession(MODEL.fetch(), providers=["CPUExecutionProvider"])
    return lambda features: np.asarray(session.run(["target_label"], {"bytes": features})[0])


def repository_files() -> list[Path]:
    """Files of this repository, of as many kinds as there are, first of each kind first."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    found = [REPOSITORY / name for name in sorted(listed) if name]
    found = [path for path in found or sorted(REPOSITORY.glob("*/*")) if path.is_file()]
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, Path]] = []
    for position, path in enumerate(found):
        kind = path.suffix or path.name
        seen[kind] = seen.get(kind, 0) + 1
        ranked.append((seen[kind], position, path))
    return [path for _, _, path in sorted(ranked)[:FILES_SHOWN]]


def show(console: Console, verdicts: dict[Path, Verdict], compile_seconds: float) -> None:
    """The table of the verdicts, and what it took."""
    table = Table("file", "label", "confidence", "time", title="what these files hold")
    for path, verdict in verdicts.items():
        name = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
        sure = "" if verdict.confidence is None else f"{verdict.confidence:.1%}"
        table.add_row(str(name), verdict.label, sure, f"{verdict.seconds * 1e3:.2f} ms")
    console.print(table)
    times = sorted(v.seconds for v in verdicts.values() if v.confidence is not None)
    median = times[len(times) // 2] * 1e3 if times else float("nan")
    console.print(
        f"compiled in {compile_seconds:.2f} s; {len(verdicts)} files, latency {median:.2f} ms "
        "(median, features included)"
    )


def differences(
    verdicts: dict[Path, Verdict], other: dict[Path, Verdict]
) -> list[tuple[Path, str, str]]:
    """Files with other labels."""
    return [
        (path, verdict.label, other[path].label)
        for path, verdict in verdicts.items()
        if verdict.label != other[path].label
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Classify, print, and with --compare check the labels against onnxruntime's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", type=Path, help="default: files of this repository")
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--compare", action="store_true", help="check against onnxruntime")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 100)
    try:
        files = [path.resolve() for path in options.files] or repository_files()
        network, seconds = compiled_network(options.threads)
        classifier = Classifier(network)
        verdicts = {path: classifier.classify(path) for path in files}
        show(console, verdicts, seconds)
        if not options.compare:
            return 0
        reference = Classifier(onnxruntime_network())
        wrong = differences(verdicts, {path: reference.classify(path) for path in files})
    except (nnc.NncError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path, ours, theirs in wrong:
        console.print(f"{path}: {ours}, but onnxruntime says {theirs}")
    console.print(f"onnxruntime agrees on {len(files) - len(wrong)} of {len(files)} labels")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
