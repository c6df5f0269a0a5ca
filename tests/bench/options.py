"""What the programs behind script/bench understand alike."""

import argparse
import json
import pathlib
import sys


def parser(text, names, what):
    """With `names`: which `what`s to run."""
    made = argparse.ArgumentParser(prog="script/bench", description=text.splitlines()[0])
    made.add_argument("--build-dir", type=pathlib.Path, required=True)
    made.add_argument("--output-dir", type=pathlib.Path, required=True)
    made.add_argument("--quick", action="store_true")
    made.add_argument("--rounds", type=int)
    made.add_argument("--again", action="store_true")
    made.add_argument("names", nargs="*", type=one_of(names, what), help=f"each a {what}; default: all")
    return made


def one_of(names, what):
    def check(name):
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"there is no {what} {name}; there are {', '.join(names)}")
        return name
    return check


def parsed(parser, what):
    options = parser.parse_args()
    if options.again and not options.names:
        parser.error(f"--again wants the {what}s that are to be measured again.")
    return options


def earlier(options, name):
    """The report into which --again puts what is measured; without it none."""
    report = options.output_dir / name
    if options.again and not report.exists():
        sys.exit(f"--again wants a report to put them into, and there is no {report}.")
    return json.loads(report.read_text(encoding="utf-8")) if options.again else None


def rounds(options, quick, usual):
    return options.rounds or (quick if options.quick else usual)
