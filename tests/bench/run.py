"""Measures, and writes what was measured as JSON; report.py makes the report of it.

Started by script/bench, which explains it.
"""

import contextlib
import datetime
import json
import os
import pathlib
import signal
import sys
import tempfile
import time

import machine
import network
import options as shared_options
import peers
import report
import workloads
from errors import Failed, Skipped
from peers.base import Setting
from processes import Programs


class Context:
    """What all runs share: the build, a folder, an environment, and a count of them."""

    def __init__(self, build, folder):
        self.build = build
        self.folder = folder
        self._serial = 0
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        # A registry, a meeting point and identities of their own, as a fresh user has them.
        self.env = {
            **os.environ,
            "GST_PLUGIN_PATH": f"{build}/gst:{build}/tests/bench",
            "GST_REGISTRY": str(folder / "registry.bin"),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_DATA_HOME": str(folder / "data"),
            "HOME": str(folder),
            "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        }

    def next_serial(self):
        self._serial += 1
        return self._serial

    @contextlib.contextmanager
    def __call__(self, near, far):
        with Programs(self.env) as programs:
            yield Setting(self.build, self.folder, programs, near, far, self.next_serial())


def measure(context, chosen, rounds, save):
    """Every workload, round by round, in each round every peer once."""
    missing = {}
    for workload in chosen:
        record = {"group": workload.group, "key": workload.key, "title": workload.title,
                  "parameters": workload.parameters, "peers": {}}
        for name in workload.peers:
            if name not in missing:
                missing[name] = peers.ALL[name].missing(context.build)
            record["peers"][name] = {"runs": [], "errors": [], "skipped": missing[name]}
        for number in range(rounds):
            for name in workload.peers:
                entry = record["peers"][name]
                if entry["skipped"] is not None or hopeless(entry):
                    continue
                outcome = run_once(context, workload, peers.ALL[name], entry)
                print(f"{workload.key} {number + 1}/{rounds} {name}: {outcome}", flush=True)
        save(record)


def hopeless(entry):
    """Failed twice, never worked: more of it would only take time."""
    return not entry["runs"] and len(entry["errors"]) >= 2


def run_once(context, workload, peer, entry):
    try:
        result = workload.run(peer, context)
    except Skipped as reason:
        entry["skipped"] = str(reason)
        return f"skipped, {reason}"
    except Failed as problem:
        entry["errors"].append(str(problem))
        return f"failed, {problem}"
    entry["runs"].append(result)
    return ", ".join(f"{key} {value:.4g}" for key, value in result.items())


def replaced(before, results):
    """The results of before, with the groups that were measured again in their places."""
    if before is None:
        return results
    again = {workload["group"] for workload in results["workloads"]}
    order = list(workloads.GROUPS)
    kept = [one for one in before["workloads"] if one["group"] not in again]
    still = [{**part, "names": [name for name in part["names"] if name not in again]}
             for part in before.get("again", ())]
    about = {key: value for key, value in results.items() if key not in ("workloads", "peers")}
    return {**before, "peers": {**before["peers"], **results["peers"]},
            "again": [*(part for part in still if part["names"]),
                      {**about, "names": sorted(again)}],
            "workloads": sorted(kept + results["workloads"],
                                key=lambda one: order.index(one["group"].partition("-")[0]))}


def parse():
    options = shared_options.parsed(
        shared_options.parser(__doc__, workloads.GROUPS, "group"), "group")
    options.groups = options.names or list(workloads.GROUPS)
    options.rounds = shared_options.rounds(options, 3, 5)
    return options


def main():
    # As the first process of its namespace it would be deaf to it otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    command = os.environ.get("P2P_BENCH_COMMAND", "script/bench")
    confined = network.enter()
    if confined is not None:
        print(f"No network namespaces: {confined}. What needs them is skipped.", flush=True)
    before = shared_options.earlier(options, "results.json")
    started = time.monotonic()
    options.output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="p2p-bench-") as name:
        context = Context(options.build_dir.resolve(), pathlib.Path(name))
        os.environ.update(context.env)
        results = {
            "command": command,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "rounds": options.rounds,
            "quick": options.quick,
            "namespaces": confined or "yes",
            "machine": machine.describe(),
            "versions": machine.versions(options.build_dir),
            "peers": {key: peer.title for key, peer in peers.ALL.items()},
            "load_before": os.getloadavg()[0],
            "workloads": [],
        }

        def save(record):
            results["workloads"].append(record)
            results["minutes"] = round((time.monotonic() - started) / 60, 1)
            results["load_after"] = os.getloadavg()[0]
            whole = replaced(before, results)
            text = json.dumps(whole, indent=1, ensure_ascii=False)
            (options.output_dir / "results.json").write_text(text + "\n", encoding="utf-8")
            report.write(whole, options.output_dir)

        chosen = [workload for group in options.groups
                  for workload in workloads.GROUPS[group](options.quick)]
        measure(context, chosen, options.rounds, save)
    print(f"\n{options.output_dir}/results.md, after {results['minutes']} min")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
