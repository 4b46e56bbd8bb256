"""Names the machine and the functions of an ELF object, without tools of the system."""

import re
import sys
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
assert data[:4] == b"\x7fELF", data[:4]
print("ELF machine", int.from_bytes(data[18:20], "little"))
for name in re.findall(rb"\x00([a-z]+\.\d+)(?=\x00)", data):
    print(name.decode())
