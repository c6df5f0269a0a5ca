"""Public headers are C: no C++ may slip into them, not even behind an #ifdef.

Usage: check_c_only.py HEADER...
"""

import re
import sys

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
CPP_ONLY = re.compile(r"std::|\bclass\s|\bnamespace\b|\btemplate\s*<|\bnullptr\b|\.hpp\b")


def main(headers):
    found = 0
    for header in headers:
        with open(header, encoding="utf-8") as stream:
            # Comments may say "class"; they are blanked, and their line ends stay for the numbers.
            text = COMMENT.sub(lambda match: "\n" * match.group().count("\n"), stream.read())
        for number, line in enumerate(text.splitlines(), 1):
            match = CPP_ONLY.search(line)
            if match:
                print(f"{header}:{number}: `{match.group()}` is not C: {line.strip()}")
                found += 1
    if not headers:
        print("no header was given")
    return 1 if found or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
