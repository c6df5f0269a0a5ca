"""What turns runs of scenarios into a report, on fixed numbers."""

import copy
import math
import unittest

import liveness
import liveness_report
from scenario.catalogue import HEALS_MS, SCENARIOS
from summary import number, percentile

RESULTS = {
    "command": "script/bench liveness", "date": "2000-01-01 00:00 UTC", "minutes": 1, "rounds": 2,
    "jobs": 6, "machine": {"cpu": "a processor", "cores": 2, "memory_gib": 4, "system": "a system",
                           "kernel": "6.1"},
    "versions": {"gst-p2p": "1234567", "build type": "release"},
    "load_before": 0.5, "load_after": 1.5,
}


def side(detected=500.0, restored=700.0, **more):
    return {"detected_ms": [detected], "restored_ms": [restored], "data_ms": [restored],
            "removed_ms": [],
            "reasons": ["silence"], "max_gap_ms": 4000.0, "max_stall_ms": 5, "lost": 0, "doubled": 0,
            "corrupt": 0, "false_alarms": 0, **more}


def entry(name, *runs):
    """Of (problems, numbers of a, numbers of b)."""
    made = liveness.new_entry(SCENARIOS[name])
    for problems, a, b in runs:
        liveness.add(made, SCENARIOS[name],
                     {"problems": problems, "late": [], "sides": {"a": a, "b": b}})
    return made


def report(*entries):
    return liveness_report.render({**copy.deepcopy(RESULTS), "scenarios": list(entries)})


class Percentile(unittest.TestCase):
    def test_it_is_a_value_that_was_measured(self):
        values = list(range(1, 101))
        self.assertEqual([percentile(values, percent) for percent in (50, 99, 100)], [50, 99, 100])
        self.assertEqual(percentile([3, 1, 2], 50), 2)
        self.assertEqual(percentile([1, 2], 99), 2)

    def test_never_is_longer_than_all(self):
        self.assertEqual(percentile([None, 1, 2], 50), 2)
        self.assertEqual(percentile([None, 1, 2], 99), math.inf)
        self.assertEqual(number(math.inf), "never")
        self.assertIsNone(percentile([], 50))


class Report(unittest.TestCase):
    def test_each_host_has_its_times_beside_what_was_meant(self):
        text = report(entry("link-down-3", ([], side(), side(1500.0)), ([], side(501.0), side(1700.0))))
        self.assertIn(f"| link-down-3 | alice | 500 / 501 (≤ 2000) | 700 / 700 (≤ {HEALS_MS:g}) | "
                      "700 / 700 | 4000 / 4000 | – | 0 | 0 | 0 | 0 | 2 of 2 |", text)
        self.assertIn("|  | bob | 1500 / 1700 (≤ 2000) |", text)

    def test_figures_are_reached_or_missed(self):
        text = report(entry("silence-idle", ([], side(2000.0), side(100.0))))
        self.assertIn("with the settings as they come, p99 | ≤ 2000 ms | 2000 ms | reached |", text)
        self.assertNotIn("ping-interval=100, p99", text)
        text = report(entry("silence-idle", ([], side(2000.1), side(100.0))))
        self.assertIn("| ≤ 2000 ms | 2000 ms | **missed** |", text)
        text = report(entry("silence-idle", ([], side(None), side(100.0))))
        self.assertIn("| ≤ 2000 ms | never | **missed** |", text)

    def test_faults_are_counted_over_all_runs(self):
        text = report(entry("loss-20", ([], side(lost=1), side(false_alarms=2)),
                            (["a: it broke"], side(doubled=3), side())))
        self.assertIn("| Messages lost, all runs | 0 | 1 | **missed** |", text)
        self.assertIn("| Messages corrupt, all runs | 0 | 0 | reached |", text)
        self.assertIn("| False alarms in a minute of 20 % loss, all runs | 0 | 2 | **missed** |", text)
        self.assertIn("| 1 of 2 |", text)
        self.assertIn("- loss-20: a: it broke", text)

    def test_of_a_host_that_was_killed_nothing_is_asked(self):
        text = report(entry("peer-killed", ([], side(), side())))
        self.assertIn("| peer-killed | alice |", text)
        self.assertNotIn("| bob |", text)

    def test_a_run_that_came_to_nothing_is_a_fault(self):
        made = liveness.new_entry(SCENARIOS["no-event"])
        liveness.add(made, SCENARIOS["no-event"],
                     {"problems": ["the run failed: no way"], "late": [], "sides": {}})
        self.assertIn("or another fault | 0 | 1 | **missed** |", report(made))

    def test_what_is_measured_again_takes_the_place_of_what_was(self):
        before = {**copy.deepcopy(RESULTS), "scenarios": [
            entry("silence-idle", ([], side(), side())), entry("link-down-3", ([], side(), side()))]}
        again = {**copy.deepcopy(RESULTS), "command": "script/bench --again liveness link-down-3",
                 "scenarios": [entry("link-down-3", ([], side(), side()), ([], side(), side()))]}
        results = liveness.replaced(before, again)
        self.assertEqual([(one["name"], one["runs"]) for one in results["scenarios"]],
                         [("silence-idle", 1), ("link-down-3", 2)])
        self.assertIn("Again, link-down-3: `script/bench --again", liveness_report.render(results))

    def test_what_no_run_has_is_not_told(self):
        text = report()
        self.assertNotIn("Messages lost", text)
        self.assertIn("# Liveness", text)


if __name__ == "__main__":
    unittest.main()
