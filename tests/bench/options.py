"""What the programs behind script/bench understand alike."""

import argparse
import pathlib


def parser(text, names, what):
    """With `names`: which `what`s to run."""
    made = argparse.ArgumentParser(prog="script/bench", description=text.splitlines()[0])
    made.add_argument("--build-dir", type=pathlib.Path, required=True)
    made.add_argument("--output-dir", type=pathlib.Path, required=True)
    made.add_argument("--quick", action="store_true")
    made.add_argument("--rounds", type=int)
    made.add_argument("names", nargs="*", type=one_of(names, what), help=f"each a {what}; default: all")
    return made


def one_of(names, what):
    def check(name):
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"there is no {what} {name}; there are {', '.join(names)}")
        return name
    return check


def rounds(options, quick, usual):
    return options.rounds or (quick if options.quick else usual)
