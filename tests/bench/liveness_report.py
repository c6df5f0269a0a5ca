"""Makes liveness.md of liveness.json: how soon outages are noticed and healed, and what is lost.

liveness_report.py FOLDER    writes it again from FOLDER/liveness.json
"""

import json
import pathlib
import sys

from figures import MISSED, REACHED
from summary import number, percentile

LAB = pathlib.Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB))
from scenario import catalogue  # noqa: E402

FAULTS = ("lost", "doubled", "corrupt", "false_alarms")


def gathered(entries, key, wanted):
    """All values of a key of the sides that `wanted` takes, given the scenario and its side."""
    return [value for entry in entries for side, kept in entry["sides"].items()
            if wanted(catalogue.SCENARIOS.get(entry["name"]), side) for value in kept[key]]


def expected(scenario, side, field):
    return scenario is not None and getattr(scenario.sides[side], field) is not None


def total(values):
    return sum(value or 0 for value in values)


def named(name):
    return lambda scenario, _: scenario is not None and scenario.name == name


def figures(entries):
    """(text, unit, bound, value) of what this project is meant to reach, where it was measured."""
    for name, most, what in (
            ("silence-idle", catalogue.DETECT_MS, "with the settings as they come"),
            ("silence-idle-100", catalogue.FAST_DETECT_MS, "with ping-interval=100")):
        yield (f"An outage is noticed, one packet a second each way, {what}, p99", " ms", most,
               percentile(gathered(entries, "detected_ms", named(name)), 99))
    yield ("Restored after the network is usable, all scenarios, p99", " ms", catalogue.HEALS_MS,
           percentile(gathered(entries, "restored_ms", lambda scenario, side: expected(
               scenario, side, "restore_ms") and
               scenario.sides[side].restore_ms == catalogue.HEALS_MS), 99))
    yield ("The longest gap when another way out was there before the first went, p99", " ms",
           catalogue.GAP_MS,
           percentile(gathered(entries, "max_gap_ms", named("second-uplink")), 99))
    alarms = gathered(entries, "false_alarms", named("loss-20"))
    yield ("False alarms in a minute of 20 % loss, all runs", "", 0,
           total(alarms) if alarms else None)
    for key in ("lost", "doubled", "corrupt"):
        values = gathered(entries, key, lambda *_: True)
        yield f"Messages {key}, all runs", "", 0, total(values) if values else None
    runs = sum(entry["runs"] for entry in entries)
    yield ("Runs with an event that is missing, came twice or has a wrong reason, or another fault",
           "", 0, runs - sum(entry["right"] for entry in entries) if runs else None)


def figure_table(entries):
    rows = [row for row in figures(entries) if row[3] is not None]
    lines = ["## What it is meant to reach", "", "| | meant | measured | |", "|---|---:|---:|---|"]
    for text, unit, most, value in rows:
        bound = f"≤ {most:g}{unit}" if most else "0"
        shown = str(value) if isinstance(value, int) else number(value)
        shown += unit if value != float("inf") else ""
        lines.append(f"| {text} | {bound} | {shown} | {REACHED if value <= most else MISSED} |")
    return [*lines, ""]


def pair(values, limit):
    """p50 and p99, and the limit that is set for a single run."""
    if not values:
        return "–"
    text = f"{number(percentile(values, 50))} / {number(percentile(values, 99))}"
    if limit is None:
        return text
    return f"{text} (≤ {limit:g})"


def scenario_table(entries):
    columns = ("scenario", "host", "noticed", "restored", "data again", "longest gap", "removed",
               "lost", "doubled", "corrupt", "false alarms", "right")
    yield "| " + " | ".join(columns) + " |"
    yield "|---|---|" + "---:|" * (len(columns) - 2)
    for entry in entries:
        scenario = catalogue.SCENARIOS.get(entry["name"])
        if scenario is None or not entry["runs"]:
            continue
        for side, kept in entry["sides"].items():
            expect = scenario.sides[side]
            if expect.end == "killed":
                continue
            cells = [
                entry["name"] if side == "a" else "",
                {"a": "alice", "b": "bob"}[side],
                pair(kept["detected_ms"] if expect.detect_ms is not None else [], expect.detect_ms),
                pair(kept["restored_ms"] if expect.restore_ms is not None else [],
                     expect.restore_ms),
                pair(kept["data_ms"] if expect.end == "finished" else [], None),
                pair(kept["max_gap_ms"], expect.gap_ms),
                pair(kept["removed_ms"], expect.removed_ms and expect.removed_ms[1]),
                *(str(total(kept[key])) for key in FAULTS),
                f"{entry['right']} of {entry['runs']}" if side == "a" else "",
            ]
            yield "| " + " | ".join(cells) + " |"
    yield ""


def explanations(entries):
    yield "| scenario | what happens |"
    yield "|---|---|"
    for entry in entries:
        yield f"| {entry['name']} | {entry['text']} |"
    yield ""


def problems(entries):
    wrong = [entry for entry in entries if entry["problems"]]
    if not wrong:
        return
    yield from ("## What went wrong", "")
    for entry in wrong:
        for text, count in sorted(entry["problems"].items(), key=lambda item: -item[1]):
            times = f" ({count} times)" if count > 1 else ""
            yield f"- {entry['name']}: {' '.join(text.split())}{times}"
    yield ""


def measured(results):
    return (f"`{results['command']}`, {results['date']}, {results['minutes']} min: "
            f"{results['rounds']} runs of each scenario, up to {results['jobs']} at a time.")


def heading(results):
    about = results["machine"]
    yield "# Liveness"
    yield ""
    yield measured(results)
    yield ""
    yield (f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB; {about['system']}, "
           f"Linux {about['kernel']}; gst-p2p {results['versions']['gst-p2p']}, "
           f"{results['versions']['build type']}. Load average {results['load_before']:.2f} before, "
           f"{results['load_after']:.2f} after.")
    yield ""
    for part in results.get("again", ()):
        yield (f"Again, {', '.join(part['names'])}: {measured(part)} gst-p2p "
               f"{part['versions']['gst-p2p']}; load average {part['load_before']:.2f} before, "
               f"{part['load_after']:.2f} after.")
        yield ""


def render(results):
    entries = results["scenarios"]
    rtts = sorted({entry["rtt_ms"] for entry in entries})
    lines = [
        *heading(results), *figure_table(entries),
        "## Scenarios", "",
        "Times in ms, p50 / p99 of the runs by nearest rank, with what a run may take. Noticed: from "
        "the start of the command that breaks the network. Restored: from the start of the command "
        "that mends it; after a change that a side did not notice, until its data comes again. Removed: from its word that "
        "the connection is broken. "
        f"Round trip: {', '.join(f'{rtt:g}' for rtt in rtts)} ms. “never” is longer than all.", "",
        *scenario_table(entries), *explanations(entries), *problems(entries)]
    return "\n".join(lines).rstrip() + "\n"


def write(results, folder):
    text = json.dumps(results, ensure_ascii=False, separators=(",", ":"))
    # A line for each scenario.
    text = text.replace('{"name":', '\n{"name":')
    (folder / "liveness.json").write_text(text + "\n", encoding="utf-8")
    (folder / "liveness.md").write_text(render(results), encoding="utf-8")


if __name__ == "__main__":
    where = pathlib.Path(sys.argv[1])
    write(json.loads((where / "liveness.json").read_text(encoding="utf-8")), where)
