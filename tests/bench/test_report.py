"""What turns runs into a report: medians, ratios, tables and plots, on fixed numbers."""

import copy
import unittest
import xml.etree.ElementTree as ElementTree

import figures
import report
import run
import svg
import workloads
from peers.base import rate
from summary import Spread, jain, number, ratio, spread

RESULTS = {
    "command": "script/bench bulk",
    "date": "2000-01-01 00:00 UTC",
    "minutes": 1.5,
    "rounds": 5,
    "namespaces": "yes",
    "machine": {"cpu": "a processor", "cores": 2, "memory_gib": 4, "kernel": "6.1",
                "system": "a system", "net.core.rmem_max": "212992"},
    "versions": {"gst-p2p": "1234567"},
    "peers": {"p2p-gst": "p2psink → p2psrc", "srt": "srtsink → srtsrc", "nice": "libnice",
              "webrtc": "webrtcbin <data>"},
    "load_before": 0.1,
    "load_after": 1.9,
    "workloads": [{
        "group": "bulk", "key": "bulk-64", "title": "64 KiB", "parameters": {},
        "peers": {
            "p2p-gst": {"skipped": None, "errors": [], "runs": [
                {"mbit": mbit, "sender_s_per_gib": 0.5, "receiver_s_per_gib": 0.25}
                for mbit in (9000, 8000, 7000, 12000, 8500)]},
            "srt": {"skipped": None, "errors": ["it ended"], "runs": [{"mbit": 850.0}]},
            "nice": {"skipped": "not installed: libnice", "errors": [], "runs": []},
            "webrtc": {"skipped": None, "errors": ["no way"] * 5, "runs": []},
        },
    }],
}


class Summary(unittest.TestCase):
    def test_a_spread_is_the_median_with_the_least_and_the_most(self):
        entry = {"runs": [{"x": 3}, {"x": 1}, {"x": 10}, {"y": 5}]}
        value = spread(entry, "x")
        self.assertEqual((value.median, value.least, value.most, value.count), (3, 1, 10, 3))

    def test_there_is_no_spread_of_nothing(self):
        self.assertIsNone(spread({"runs": [{"y": 5}, {"x": None}]}, "x"))

    def test_a_ratio_is_that_of_the_medians(self):
        self.assertEqual(ratio(Spread([8, 9, 100]), Spread([1, 3, 4])), 3)
        self.assertIsNone(ratio(Spread([8]), None))
        self.assertIsNone(ratio(Spread([8]), Spread([0])))

    def test_jains_index_goes_from_equal_shares_to_all_for_one(self):
        self.assertEqual(jain([5, 5]), 1)
        self.assertEqual(jain([5, 0]), 0.5)
        self.assertIsNone(jain([0, 0]))

    def test_numbers_have_three_figures(self):
        self.assertEqual([number(x) for x in (1234.5, 12.345, 1.2345, 0.12345, 0.00123, 0, None)],
                         ["1234", "12.3", "1.23", "0.123", "0.0012", "0", "–"])

    def test_a_rate_of_nothing_has_no_cost_per_byte(self):
        self.assertEqual(rate(0, 2, 1, 0.5), {"mbit": 0, "sender_core": 0.5, "receiver_core": 0.25})
        self.assertEqual(rate(1 << 30, 2, 1, 0.5)["sender_s_per_gib"], 1)


class Report(unittest.TestCase):
    def setUp(self):
        self.text, self.drawn = report.render(copy.deepcopy(RESULTS))

    def test_a_peer_has_its_median_spread_ratio_and_number_of_runs(self):
        self.assertIn("| **p2psink → p2psrc** | 8.50 (7.00–12.0) | 0.500 (0.500–0.500) | "
                      "0.250 (0.250–0.250) | 1.00 × | 5 |", self.text)
        self.assertIn("| srtsink → srtsrc | 0.850 (0.850–0.850) | – | – | 10.0 × | 1 of 2 |",
                      self.text)

    def test_a_peer_without_a_run_is_named_with_the_reason(self):
        self.assertIn("- libnice: not installed: libnice.", self.text)
        self.assertIn("- webrtcbin <data>: failed: no way.", self.text)
        self.assertIn("- srtsink → srtsrc: 1 failed: it ended.", self.text)

    def test_the_machine_and_the_versions_are_in_it(self):
        for expected in ("a processor, 2 cores", "Linux 6.1", "| gst-p2p | 1234567 |",
                         "| net.core.rmem_max | 212992 |", "5 rounds"):
            self.assertIn(expected, self.text)

    def test_each_plot_is_shown_and_is_svg(self):
        self.assertEqual(set(self.drawn), {"bulk-mbit.svg", "bulk-sender-s-per-gib.svg",
                                           "bulk-receiver-s-per-gib.svg"})
        for name, picture in self.drawn.items():
            self.assertIn(f"({name})", self.text)
            self.assertEqual(ElementTree.fromstring(picture).tag,
                             "{http://www.w3.org/2000/svg}svg")

    def test_what_is_measured_again_takes_the_place_of_what_was(self):
        wire = {"group": "wire", "key": "wire-100-20-1", "title": "a wire", "parameters": {
            "mbit": 100, "rtt_ms": 20, "loss_percent": 1}, "peers": {}}
        before = {**copy.deepcopy(RESULTS), "workloads": RESULTS["workloads"] + [wire]}
        faster = copy.deepcopy(RESULTS["workloads"])
        faster[0]["peers"]["p2p-gst"]["runs"] = [{"mbit": 9999.0}]
        results = run.replaced(before, {**RESULTS, "command": "script/bench --again bulk",
                                        "workloads": faster})
        self.assertEqual(results["workloads"], faster + [wire])
        text = report.render(results)[0]
        self.assertIn("`script/bench bulk`, 2000", text)
        self.assertIn("Again, bulk: `script/bench --again bulk`, 2000", text)

    def test_only_the_last_time_counts(self):
        results = RESULTS
        for kernel, rounds in (("6.1", 5), ("6.2", 6)):
            results = run.replaced(results, {**RESULTS, "rounds": rounds,
                                             "machine": {**RESULTS["machine"], "kernel": kernel}})
        text = report.render(results)[0]
        self.assertEqual(text.count("Again, bulk"), 1)
        self.assertIn("6 rounds; gst-p2p 1234567; Linux 6.2. Load", text)

    def test_a_wire_that_only_we_run_on_is_a_cell_of_the_matrix(self):
        results = copy.deepcopy(RESULTS)
        results["workloads"] = [
            {"group": "wire", "key": f"wire-100-{rtt}-1", "title": "a wire",
             "parameters": {"mbit": 100, "rtt_ms": rtt, "loss_percent": 1},
             "peers": {"p2p-gst": {"skipped": None, "errors": [], "runs": [{"mbit": rate}]}}}
            for rtt, rate in ((20, 90.0), (50, 80.0))]
        text, drawn = report.render(results)
        self.assertIn("| RTT | 1 % loss |", text)
        self.assertIn("| 50 ms | 80.0 (80.0–80.0) |", text)
        self.assertNotIn("### a wire", text)
        self.assertEqual(drawn, {})


class Figures(unittest.TestCase):
    def test_a_bound_is_reached_or_missed_at_the_median(self):
        self.assertEqual(figures.table(RESULTS["workloads"])[4:], [
            "| 64 KiB on loopback, p2psink → p2psrc over srtsink → srtsrc | ≥ 8 × | 10.0 × | reached |",
            ""])
        slower = copy.deepcopy(RESULTS["workloads"])
        slower[0]["peers"]["srt"]["runs"] = [{"mbit": 8500.0}]
        self.assertIn("| 1.00 × | **missed** |", figures.table(slower)[4])

    def test_nothing_is_said_about_what_was_not_measured(self):
        self.assertEqual(figures.table([]), [])

    def test_the_faster_of_two_is_what_counts(self):
        bulk = {"bulk-64": {"peers": {
            name: {"runs": [{"mbit": value}]}
            for name, value in (("p2p-gst", 6), ("p2p", 4), ("p2p-blocking", 8))}}}
        find = figures.quotient("bulk-64", "p2p-gst", "mbit", "p2p", "p2p-blocking", "not there")
        self.assertEqual(find(bulk), 0.75)

    def test_every_figure_is_about_something_that_is_measured(self):
        keys = {one.key for make in workloads.GROUPS.values() for one in make(False)}
        asked = set()

        class Keys(dict):
            def get(self, key, default=None):
                asked.add(key)
                return default

        for figure in figures.all_figures():
            figure.find(Keys())
        self.assertLessEqual(asked, keys)
        self.assertTrue(asked)


class Plot(unittest.TestCase):
    def test_the_longest_bar_fills_the_picture_and_half_of_it_is_half_as_long(self):
        picture = svg.bars("T", "u", [("", [("a", Spread([10]), True), ("b", Spread([5]), False)])])
        widths = [float(part.get("width"))
                  for part in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect")]
        full = svg.WIDTH - svg.LABEL_WIDTH - svg.VALUE_WIDTH
        self.assertEqual(widths, [svg.WIDTH, full, full / 2])

    def test_each_group_may_have_a_scale_of_its_own(self):
        groups = [("", [("a", Spread([10]), True)]), ("", [("b", Spread([5]), True)])]
        for one_scale, part in ((True, 0.5), (False, 1)):
            picture = ElementTree.fromstring(svg.bars("T", "u", groups, one_scale))
            widths = [float(one.get("width"))
                      for one in picture.iter("{http://www.w3.org/2000/svg}rect")][1:]
            self.assertEqual(widths[1], widths[0] * part)

    def test_text_is_escaped_and_no_value_is_drawn_as_none(self):
        picture = svg.bars("<T> & co", "u", [("g", [("a", None, False)])])
        texts = [part.text for part in ElementTree.fromstring(picture)
                 .iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(texts, ["<T> & co [u]", "g", "a", "–"])


class Workloads(unittest.TestCase):
    def test_every_group_has_a_section_in_the_report(self):
        sections = [one.group for make in workloads.GROUPS.values() for one in make(False)]
        self.assertEqual(list(dict.fromkeys(sections)), list(report.GROUPS))

    def test_keys_are_unique_and_peers_are_known(self):
        import peers
        for quick in (True, False):
            every = [one for make in workloads.GROUPS.values() for one in make(quick)]
            self.assertEqual(len({one.key for one in every}), len(every))
            for one in every:
                self.assertLessEqual(set(one.peers), set(peers.ALL))
                self.assertTrue(one.peers[0])

    def test_the_base_of_a_ratio_runs_in_every_workload_of_its_group(self):
        for make in workloads.GROUPS.values():
            for one in make(False):
                self.assertIn(report.GROUPS[one.group].base, one.peers)


if __name__ == "__main__":
    unittest.main()
