"""The library exports what symbols.txt lists: nothing lost (ABI), nothing leaked (C++ templates).

Usage: check_symbols.py NM LIBRARY SYMBOLS.TXT
"""

import subprocess
import sys


def exported(nm, library):
    answer = subprocess.run([nm, "-D", "--defined-only", library],
                            check=True, stdout=subprocess.PIPE, text=True)
    symbols = set()
    for line in answer.stdout.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":  # the version node itself
            symbols.add(name.partition("@")[0])
    return symbols


def main(nm, library, listing):
    with open(listing, encoding="ascii") as stream:
        lines = [line.strip() for line in stream]
    wanted = [line for line in lines if line and not line.startswith("#")]
    have = exported(nm, library)
    lost = sorted(set(wanted) - have)
    leaked = sorted(have - set(wanted))
    for name in lost:
        print(f"not exported, though symbols.txt lists it: {name}")
    for name in leaked:
        print(f"exported, though symbols.txt does not list it: {name}")
    if wanted != sorted(set(wanted)):
        print("symbols.txt is not sorted, or names a symbol twice")
        return 1
    return 1 if lost or leaked or not wanted else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
