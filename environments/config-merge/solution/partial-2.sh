#!/bin/bash
# Core: merging, directives, history and references, but Python's equality in removals, shared
# objects, mappings with nothing below copied as they are, and no watch for cycles.
set -eu
from="$(dirname "${BASH_SOURCE[0]}")/full"
cp "$from"/{__init__,errors,merge,references,resolved}.py layered/
python3 - <<'PY'
from pathlib import Path


def edit(name, *changes):
    path = Path("layered", name)
    text = path.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)


edit(
    "merge.py",
    ("not any(same(one, other) for other in operand)", "one not in operand"),
    ("node[key] = deepcopy(value)", "node[key] = value"),
    (
        "            self.apply_at(layer, path, node.setdefault(key, {}), value)\n",
        "            if key in node:\n"
        "                self.apply_at(layer, path, node[key], value)\n"
        "            else:\n"
        "                node[key] = value\n"
        "                for one in values_below(path, node, key):\n"
        '                    self.record(layer, one, "set", descend(node, one, len(path) - 1))\n',
    ),
    ("@dataclass(frozen=True)\nclass Step", "def descend(node, path, depth):\n"
     "    for key in path[depth:]:\n"
     "        node = node[key]\n"
     "    return node\n\n\n"
     "@dataclass(frozen=True)\nclass Step"),
)
edit("resolved.py", ("return deepcopy(self._data)", "return self._data"))
edit("references.py", ("if path in self.active:", "if False:"))
PY
