"""Runs a scenario in the laboratory, and says what came of it.

scenarios.py --list                       names and explains them
scenarios.py NAME [OPTION...]             runs one: only inside of namespaces, see scenario.sh

The exit code is 0 when all was as expected, 1 when not, 77 when it cannot be run here.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

from scenario.catalogue import SCENARIOS
from scenario.play import play
from scenario.world import Failed

HERE = pathlib.Path(__file__).resolve().parent
# What a test forgives a machine with few cores that runs other tests meanwhile. script/bench liveness
# forgives nothing.
TEST_SLACK_MS = 500
SKIPPED = 77


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", choices=[[], *SCENARIOS], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name all scenarios")
    parser.add_argument("--build-dir", type=pathlib.Path,
                        default=os.environ.get("P2P_BUILD_DIR", HERE.parents[1] / "build"))
    parser.add_argument("--slack-ms", type=float, default=TEST_SLACK_MS,
                        help="what is added to every limit (%(default)s)")
    parser.add_argument("--result", type=pathlib.Path, help="write the result there, as JSON")
    parser.add_argument("--logs", type=pathlib.Path,
                        help="leave there what the programs wrote to standard error")
    parser.add_argument("--verbose", action="store_true", help="print all that the peers told")
    options = parser.parse_args()
    if not options.list and not options.name:
        parser.error("a scenario is missing; --list names them")
    return options


def show(numbers):
    def ms(values):
        return " ".join("never" if value is None else f"{value:.0f}" for value in values) or "–"
    gap = numbers["max_gap_ms"]
    return (f"noticed after [ms]: {ms(numbers['detected_ms'])}; restored: "
            f"{ms(numbers['restored_ms'])}; data again: {ms(numbers['data_ms'])}; longest gap: "
            f"{ms([gap])}; received {numbers['received']}, lost {numbers['lost']}, doubled "
            f"{numbers['doubled']}, corrupt {numbers['corrupt']}; broke for "
            f"{', '.join(map(str, numbers['reasons'])) or 'nothing'}")


def tell_stories(stories, marks):
    lines = [(line["t"], side, json.dumps(line)) for side, story in stories.items()
             for line in story.lines]
    lines += [(mark["t"], "·", json.dumps(mark)) for mark in marks]
    for _, side, text in sorted(lines):
        print(side, text)


def main():
    options = parse()
    if options.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:22} {scenario.text}")
        return 0
    scenario = SCENARIOS[options.name]
    if scenario.turn and shutil.which("turnserver") is None:
        print("skip: coturn is not installed")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="p2p-scenario-") as folder:
        if options.logs:
            options.logs.mkdir(parents=True, exist_ok=True)
        try:
            result, stories = play(scenario, options.build_dir, options.logs or folder,
                                   options.slack_ms)
        except Failed as problem:
            result, stories = {"scenario": scenario.name, "passed": False, "marks": [], "late": [],
                               "problems": [str(problem)], "sides": {}}, {}
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if options.verbose or not result["passed"]:
        tell_stories(stories, result["marks"])
    print(f"{scenario.name}: {scenario.text}")
    for side, numbers in result["sides"].items():
        print(f"  {side}: {show(numbers)}")
    for problem in result["problems"] + result["late"]:
        print(f"FAIL {problem}")
    for side, text in result.get("stderr", {}).items():
        print(f"  {side} wrote: {text}")
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
