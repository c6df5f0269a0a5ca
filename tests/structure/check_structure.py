"""Fails when a layer includes a header of a layer above it, or when a file has grown into two.

check_structure.py ROOT

The rules are those of CONTRIBUTING.md, "How the layers lie" and "Shape".
"""

import pathlib
import re
import sys

MAX_LINES = 600

# The folders whose headers each folder of sources may include. A folder may always include itself.
MAY_INCLUDE = {
    "agent/base": set(),
    "agent/redis": {"base"},
    "agent/net": {"base"},
    "agent/store": {"base", "redis"},
    "agent/path": {"base"},
    "agent/ice": {"base", "turn", "path"},
    "agent/transport": {"base", "path"},
    "agent/session": {"base", "transport"},
    "agent/signaling": {"base", "redis"},
    "agent/core": {
        "base", "turn", "net", "store", "path", "ice", "transport", "session", "signaling",
    },
    "agent": {
        "base", "turn", "net", "store", "path", "ice", "transport", "session", "signaling", "core", "p2p",
    },
    "agent/p2p": set(),  # the public headers
    "gst": {"p2p"},
    "tools": {"p2p"},
    "tools/doctor": {"base", "turn", "net", "ice", "signaling"},
    "tools/rendezvous": {"base", "redis", "signaling"},
    "examples": {"p2p"},
    "turn": {"base"},
}

# Plain enumerations, numbers and the error domain of the C API lie below everything.
FOR_ALL = {"p2p/p2p-error.h", "p2p/p2p-types.h", "p2p/p2p-version.h"}
# Pointers, bytes and errors without a line in the library: users of the C API need them as well.
INLINE_ONLY = {"base/bytes.hpp", "base/error.hpp", "base/ptr.hpp"}
USERS_OF_THE_API = {"gst", "tools"}

# A library that only one folder knows.
ONLY_IN = {
    "ngtcp2/": {"agent/transport"},
    "nice/": {"agent/ice"},
    "stun/": {"agent/ice", "tools/rendezvous", "turn"},
    "libsoup/": {"agent/signaling", "tools/doctor", "tools/rendezvous"},
    "sqlite3.h": {"agent/store"},
    "gst/": {"gst"},
    "hiredis/": {"agent/redis", "examples"},  # an application has data of its own
}

# It stands in the .cpp, where g-ir-scanner reads it, and says nothing about how many ideas there are.
DOCUMENTATION = re.compile(r"^\s*/\*\*\n.*?\*/\n", re.MULTILINE | re.DOTALL)

SOURCES = {".c", ".h", ".cpp", ".hpp"}
TEXTS = SOURCES | {".py", ".sh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def layer_of(folder):
    """The folder of MAY_INCLUDE in which a file lies, or None."""
    while folder not in ("", "."):
        if folder in MAY_INCLUDE:
            return folder
        folder = folder.rpartition("/")[0]
    return None


def own_problem(root, folder, layer, header):
    if "/" not in header:
        if (root / folder / header).exists():
            return None
        header = "p2p/" + header  # the build makes it, or it is found through a search path
    if header in FOR_ALL or (layer in USERS_OF_THE_API and header in INLINE_ONLY):
        return None
    prefix = header.partition("/")[0]
    if prefix == layer.rpartition("/")[2] or prefix in MAY_INCLUDE[layer]:
        return None
    return f"{layer} may not include {header}"


def library_problem(layer, header):
    for prefix, layers in ONLY_IN.items():
        if header.startswith(prefix) and layer not in layers:
            return f"{header} is for {' and '.join(sorted(layers))} alone"
    return None


def check(root):
    problems = []
    includes = 0
    for path in sorted(root.rglob("*")):
        file = path.relative_to(root).as_posix()
        if path.suffix not in TEXTS or file.startswith(("build", "subprojects/", ".")):
            continue
        text = path.read_text(encoding="utf-8")
        lines = DOCUMENTATION.sub("", text).count("\n")
        if lines > MAX_LINES:
            problems.append(f"{file}: {lines} lines, more than {MAX_LINES}: two ideas")
        folder = file.rpartition("/")[0]
        layer = layer_of(folder)
        if layer is None or path.suffix not in SOURCES:
            continue
        for match in INCLUDE.finditer(text):
            includes += 1
            header = match[1] or match[2]
            if match[1] or header.startswith("p2p/"):
                problem = own_problem(root, folder, layer, header)
            else:
                problem = library_problem(layer, header)
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{file}:{line}: {problem}")
    if includes == 0:
        problems.append(f"{root}: there are no sources here, so nothing was checked")
    return problems


def main():
    problems = check(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
