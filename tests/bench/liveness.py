"""Runs every scenario of tests/lab many times, and writes what was measured and a report of it.

Started by script/bench liveness. A run is a process of its own, in namespaces of its own; runs that
mostly wait go side by side, those that a busy machine would spoil go alone.
"""

import concurrent.futures
import datetime
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import liveness_report
import machine
import options as shared_options

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))
from scenario.catalogue import SCENARIOS  # noqa: E402

ROUNDS, QUICK_ROUNDS = 50, 5
JOBS_PER_CORE = 3
SKIPPED = 77
# Of one side of one run, what is kept.
LISTS = ("detected_ms", "restored_ms", "data_ms", "removed_ms", "reasons")
NUMBERS = ("max_gap_ms", "max_stall_ms", "lost", "doubled", "corrupt", "false_alarms")


class Skipped(Exception):
    """The laboratory cannot be had on this machine."""


def run_once(scenario, build):
    """The result of one run, as scenarios.py writes it."""
    with tempfile.TemporaryDirectory(prefix="p2p-liveness-") as folder:
        path = pathlib.Path(folder) / "result.json"
        done = subprocess.run(
            [LAB / "scenario.sh", scenario.name, "--slack-ms", "0", "--result", path],
            env={**os.environ, "P2P_BUILD_DIR": str(build)}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=scenario.longest_s)
        if done.returncode == SKIPPED:
            raise Skipped(done.stdout.strip().splitlines()[-1])
        if not path.exists():
            return {"problems": [f"the run failed: {done.stdout.strip()[-300:]}"], "late": [],
                    "sides": {}}
        return json.loads(path.read_text(encoding="utf-8"))


def new_entry(scenario):
    return {"name": scenario.name, "text": scenario.text, "rtt_ms": scenario.rtt_ms, "runs": 0,
            "right": 0, "problems": {},
            "sides": {side: {key: [] for key in LISTS + NUMBERS} for side in scenario.sides}}


def add(entry, scenario, result):
    """One more run. What could not be measured is in `problems`, with its count."""
    entry["runs"] += 1
    entry["right"] += not result["problems"]
    for problem in result["problems"]:
        entry["problems"][problem] = entry["problems"].get(problem, 0) + 1
    for side, numbers in result["sides"].items():
        if scenario.sides[side].end == "killed":
            continue
        kept = entry["sides"][side]
        for key in LISTS:
            kept[key] += [rounded(value) for value in numbers[key]]
        for key in NUMBERS:
            kept[key].append(rounded(numbers[key]))


def rounded(value):
    return round(value, 1) if isinstance(value, float) else value


def measure(scenarios, build, rounds, jobs, save):
    """Round by round, so that a change of the machine's temper meets all scenarios alike."""
    entries = {scenario.name: new_entry(scenario) for scenario in scenarios}
    alone = [scenario for scenario in scenarios if scenario.busy]
    together = [scenario for scenario in scenarios if not scenario.busy]
    for chosen, workers in ((together, jobs), (alone, 1)):
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            runs = {pool.submit(run_once, scenario, build): scenario
                    for _ in range(rounds) for scenario in chosen}
            try:
                for run in concurrent.futures.as_completed(runs):
                    scenario = runs[run]
                    result = run.result()
                    add(entries[scenario.name], scenario, result)
                    tell(entries[scenario.name], rounds, result)
                    save(list(entries.values()))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def replaced(before, results):
    """The results of before, with those of the scenarios that were measured again."""
    entries = {entry["name"]: entry for entry in results["scenarios"] if entry["runs"]}
    names = [entry["name"] for entry in before["scenarios"]]
    about = {key: value for key, value in results.items() if key != "scenarios"}
    return {**before,
            "again": [*before.get("again", ()), {**about, "names": sorted(entries)}],
            "scenarios": [entries.get(entry["name"], entry) for entry in before["scenarios"]] +
                         [entry for name, entry in entries.items() if name not in names]}


def tell(entry, rounds, result):
    found = "; ".join(result["problems"] + result["late"]) or "as expected"
    print(f"{entry['name']} {entry['runs']}/{rounds}: {found}", flush=True)


def parse():
    parser = shared_options.parser(__doc__, SCENARIOS, "scenario")
    parser.add_argument("--jobs", type=int, default=JOBS_PER_CORE * (os.cpu_count() or 1))
    options = shared_options.parsed(parser, "scenario")
    options.rounds = shared_options.rounds(options, QUICK_ROUNDS, ROUNDS)
    return options


def main():
    options = parse()
    scenarios = ([SCENARIOS[name] for name in options.names] or
                 [one for one in SCENARIOS.values() if one.only != "test"])
    started = time.monotonic()
    options.output_dir.mkdir(parents=True, exist_ok=True)
    results = {
        "command": os.environ.get("P2P_BENCH_COMMAND", "script/bench liveness"),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "rounds": options.rounds,
        "jobs": options.jobs,
        "machine": machine.describe(),
        "versions": machine.versions(options.build_dir),
        "load_before": os.getloadavg()[0],
        "scenarios": [],
    }

    before = shared_options.earlier(options, "liveness.json")

    def save(entries):
        results["scenarios"] = entries
        results["minutes"] = round((time.monotonic() - started) / 60, 1)
        results["load_after"] = os.getloadavg()[0]
        liveness_report.write(replaced(before, results) if before else results, options.output_dir)

    try:
        measure(scenarios, options.build_dir.resolve(), options.rounds, options.jobs, save)
    except Skipped as reason:
        print(f"liveness: {reason}", file=sys.stderr)
        return SKIPPED
    print(f"\n{options.output_dir}/liveness.md, after {results['minutes']} min")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
