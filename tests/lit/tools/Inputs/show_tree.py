"""Print the files under a folder, sorted, with how many functions each holds."""

import sys
from pathlib import Path

root = Path(sys.argv[1])
for path in sorted(root.rglob("*.*")):
    text = path.read_text()
    assert text.startswith("// -----// IR Dump "), text
    number = text.count("func.func @") + text.count('"func.func"(')
    print(f"{path.relative_to(root)}: {number} functions")
