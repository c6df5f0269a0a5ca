"""What turns the stories of two peers into a verdict, on fixed numbers."""

import json
import unittest

from scenario.catalogue import SCENARIOS
from scenario.model import HEALED, LOST, QUIET, Expect, Scenario, Step
from scenario.story import EVENTS, Story
from scenario.verdict import Mark, judge

STATES = {"broken": "broken", "restored": "connected", "removed": "removed"}
OUTAGE = [Mark("outage", 1000), Mark("usable", 4000)]
CHANGE = [Mark("change", 1000)]


def story(*events, gaps=(), known=True, told=True, finished=True, stall=0, **totals):
    """Of events (name, t[, reason]), in the words of lab-peer."""
    lines = [{"t": 0, "event": "signal-known", "name": name, "known": known} for name in EVENTS]
    lines.append({"t": 0, "event": "state", "state": "connected", "reason": "connected"})
    for name, t, *reason in events:
        state = {"t": t, "event": "state", "state": STATES[name]}
        if reason:
            state["break-reason"] = reason[0]
        if name == "removed":
            state["error"] = "gone"
        lines.append(state)
        if known and told:
            lines.append({"t": t, "event": "signal", "name": name, "args": list(reason)})
    lines += [{"t": start + ms, "event": "gap", "from": start, "ms": ms} for start, ms in gaps]
    if finished:
        lines.append({"t": 9000, "event": "finished"})
        lines.append({"t": 9001, "event": "state", "state": "removed", "reason": "closed"})
    lines.append({"t": 9002, "event": "totals", "finished": finished, "received": 10, "sent": 10,
                  "lost": 0, "doubled": 0, "corrupt": 0, "max_stall_ms": stall,
                  "max_gap_ms": max((ms for _, ms in gaps), default=10), **totals})
    made = Story()
    for line in lines:
        assert made.add(json.dumps(line))
    return made


def healed(broken=1500, restored=4500, **more):
    return story(("broken", broken, "silence"), ("restored", restored), **more)


def verdict(a, b, marks=OUTAGE, expect=None, steps=(), **more):
    expect = expect or Expect(detect_ms=2000, restore_ms=1000)
    return judge(Scenario("test", "", steps, expect, expect), {"a": a, "b": b}, marks, **more)


class Judge(unittest.TestCase):
    def assert_fails(self, result, *texts):
        found = result["problems"] + result["late"]
        for text in texts:
            self.assertTrue(any(text in one for one in found), f"no “{text}” in {found}")
        self.assertFalse(result["passed"])

    def test_an_outage_that_is_noticed_and_healed_in_time_passes(self):
        result = verdict(healed(), healed(2900, 4999))
        self.assertEqual((result["problems"], result["late"]), ([], []))
        self.assertTrue(result["passed"])
        self.assertEqual(result["sides"]["a"]["detected_ms"], [500])
        self.assertEqual(result["sides"]["a"]["restored_ms"], [500])
        self.assertEqual(result["sides"]["b"]["detected_ms"], [1900])

    def test_what_takes_longer_than_meant_is_late(self):
        self.assert_fails(verdict(healed(3001), healed()), "a: it noticed the outage after 2001 ms")
        self.assert_fails(verdict(healed(), healed(restored=5001)), "b: it was restored after 1001 ms")

    def test_a_slow_machine_is_forgiven_what_it_was_slow(self):
        self.assertTrue(verdict(healed(3100, stall=60), healed(stall=60))["passed"])
        self.assertTrue(verdict(healed(3100), healed(), slack_ms=100)["passed"])
        self.assert_fails(verdict(healed(3100, stall=60), healed()), "noticed")

    def test_a_process_that_was_stopped_on_purpose_is_no_slow_machine(self):
        result = verdict(healed(3100, stall=5000), healed(),
                         steps=(Step(1, ("signal", "a", "STOP")),))
        self.assert_fails(result, "a: it noticed the outage after 2100 ms")

    def test_what_was_never_told_is_said(self):
        self.assert_fails(verdict(story(), healed()), "a: it said nothing, not broken, restored",
                          "a: it never noticed the outage", "a: it never was restored")

    def test_an_event_that_comes_twice_is_wrong(self):
        twice = story(("broken", 1500, "silence"), ("restored", 4500), ("broken", 4600, "silence"),
                      ("restored", 4700))
        self.assert_fails(verdict(twice, healed()),
                          "a: it said broken, restored, broken, restored, not broken, restored")

    def test_signals_and_states_must_agree(self):
        silent = story(("broken", 1500, "silence"), ("restored", 4500), told=False)
        self.assert_fails(verdict(silent, healed()),
                          "a: the signals say nothing, the states broken, restored")

    def test_a_library_without_the_signals_is_told_so_and_judged_by_its_states(self):
        result = verdict(healed(known=False), healed())
        self.assertEqual(result["problems"],
                         ["a: the connection has no signal broken, restored, removed"])
        self.assertEqual(result["late"], [])

    def test_where_nothing_is_to_be_said_no_signal_is_missed(self):
        expect = Expect(events=(QUIET,))
        self.assertTrue(verdict(story(known=False), story(), [], expect)["passed"])

    def test_a_property_that_is_not_there_is_told(self):
        poor = healed()
        poor.add('{"t": 1, "event": "property-unknown", "name": "ping-interval"}')
        self.assert_fails(verdict(poor, healed()), "a: the agent has no property ping-interval")

    def test_a_wrong_reason_is_wrong(self):
        self.assert_fails(verdict(story(("broken", 1500, "transport"), ("restored", 4500)), healed()),
                          "a: it broke for transport, not silence")

    def test_the_reason_may_stand_in_the_state_alone(self):
        mute = healed()
        for line in mute.all("signal"):
            line["args"] = []
        self.assertTrue(verdict(mute, healed())["passed"])

    def test_a_break_without_an_outage_is_a_false_alarm(self):
        early = story(("broken", 500, "silence"), ("restored", 700))
        result = verdict(early, healed())
        self.assertEqual(result["sides"]["a"]["false_alarms"], 1)
        self.assert_fails(result, "a: 1 false alarms")
        self.assertEqual(result["sides"]["b"]["false_alarms"], 0)

    def test_nothing_is_restored_while_nothing_can_pass(self):
        self.assert_fails(verdict(healed(restored=3000), healed()), "while nothing could pass")

    def test_lost_doubled_and_damaged_messages_are_wrong(self):
        self.assert_fails(verdict(healed(lost=1), healed(doubled=2, corrupt=3)),
                          "a: 1 messages were lost", "b: 2 messages were doubled",
                          "b: 3 messages corrupt")

    def test_a_transfer_without_an_end_is_wrong(self):
        self.assert_fails(verdict(healed(finished=False), healed()), "did not come to its end")

    def test_what_a_peer_does_when_it_is_stopped_is_no_event(self):
        late = healed()
        late.lines = [line for line in late.lines if line["event"] not in ("finished", "totals")
                      and line.get("reason") != "closed"]
        late.cut()
        late.add('{"t": 9500, "event": "state", "state": "removed", "reason": "told to stop"}')
        late.add('{"t": 9500, "event": "failed", "what": "go on", "why": "told to stop"}')
        late.add(json.dumps({**healed().totals, "finished": False}))
        self.assertEqual(verdict(late, healed())["problems"],
                         ["a: the transfer did not come to its end",
                          "a: it was not done in time, and was stopped"])

    def test_a_crash_at_the_end_is_told(self):
        for status, good, wrong in ((0, True, False), (1, False, False), (1, True, True),
                                    (23, True, True), (-11, False, True)):
            crashed = healed(good=good)
            crashed.status = status
            self.assertEqual(verdict(crashed, healed())["problems"],
                             [f"a: its exit code is {status}"] if wrong else [])

    def test_leaving_after_the_end_is_no_event(self):
        self.assertEqual([event.name for event in healed().events()], list(HEALED))


class Changes(unittest.TestCase):
    EXPECT = Expect(events=(QUIET, HEALED), restore_ms=1000)

    def test_without_a_break_the_gap_counts(self):
        result = verdict(story(gaps=[(1010, 400)]), story(), CHANGE, self.EXPECT)
        self.assertTrue(result["passed"])
        self.assertEqual(result["sides"]["a"]["restored_ms"], [410])
        self.assertEqual(result["sides"]["b"]["restored_ms"], [0])

    def test_a_gap_that_is_too_long_is_late(self):
        result = verdict(story(gaps=[(900, 1200)]), story(), CHANGE, self.EXPECT)
        self.assertEqual(result["late"], ["a: it was restored after 1100 ms, not 1000"])

    def test_a_gap_long_before_or_after_is_another_one(self):
        result = verdict(story(gaps=[(100, 800), (2000, 3000)]), story(), CHANGE, self.EXPECT)
        self.assertEqual(result["sides"]["a"]["restored_ms"], [0])

    def test_with_a_break_its_end_counts(self):
        result = verdict(healed(1200, 1700), story(), CHANGE, self.EXPECT)
        self.assertEqual(result["sides"]["a"]["restored_ms"], [700])

    def test_a_break_that_does_not_end_is_told(self):
        result = verdict(story(("broken", 1200, "silence")), story(), CHANGE, self.EXPECT)
        self.assertIn("a: it never was restored", result["late"])

    def test_each_of_two_changes_is_measured(self):
        expect = Expect(events=(QUIET, HEALED * 2), restore_ms=1000)
        marks = [Mark("change", 1000), Mark("change", 6000)]
        twice = story(("broken", 1200, "silence"), ("restored", 1700), ("broken", 6100, "silence"),
                      ("restored", 6300))
        result = verdict(twice, story(gaps=[(6001, 200)]), marks, expect)
        self.assertTrue(result["passed"])
        self.assertEqual(result["sides"]["a"]["restored_ms"], [700, 300])
        self.assertEqual(result["sides"]["b"]["restored_ms"], [0, 201])

    def test_data_that_never_comes_again_is_told(self):
        lost = story()
        lost.add('{"t": 8000, "event": "gap", "from": 1010, "ms": 6990, "open": true}')
        result = verdict(lost, story(), CHANGE, self.EXPECT)
        self.assertEqual(result["sides"]["a"]["data_ms"], [None])
        self.assertEqual(result["late"], ["a: it never was restored"])

    def test_the_longest_gap_has_a_limit_of_its_own(self):
        expect = Expect(events=(QUIET,), gap_ms=50)
        self.assertTrue(verdict(story(), story(gaps=[(1000, 50)]), CHANGE, expect)["passed"])
        result = verdict(story(), story(gaps=[(1000, 51)]), CHANGE, expect)
        self.assertEqual(result["late"], ["b: nothing came for 51 ms, not at most 50"])
        for gap_ms, passes in ((150, True), (151, False)):
            result = verdict(story(), story(gaps=[(1000, gap_ms)]), CHANGE, expect, slack_ms=500)
            self.assertEqual(result["passed"], passes)


class ForGood(unittest.TestCase):
    EXPECT = Expect(events=(LOST,), removed_ms=(3000, 4000), end="removed")

    @staticmethod
    def gone(broken=1500, removed=4500, **more):
        return story(("broken", broken, "silence"), ("removed", removed), finished=False, **more)

    def test_removed_with_an_error_in_time_passes(self):
        self.assertTrue(verdict(self.gone(), self.gone(), OUTAGE[:1], self.EXPECT)["passed"])

    def test_too_early_and_too_late_is_late(self):
        for removed in (4499, 5501):
            result = verdict(self.gone(removed=removed), self.gone(), OUTAGE[:1], self.EXPECT)
            self.assertEqual(result["late"], [f"a: it was removed {removed - 1500} ms after it broke, "
                                              "not 3000 to 4000"])

    def test_without_an_error_it_is_wrong(self):
        mute = self.gone()
        for line in mute.all("state"):
            line.pop("error", None)
        self.assertIn("a: it was not removed with an error",
                      verdict(mute, self.gone(), OUTAGE[:1], self.EXPECT)["problems"])

    def test_of_a_peer_that_was_killed_nothing_is_asked(self):
        scenario = Scenario("test", "", (), self.EXPECT, Expect(end="killed"))
        self.assertTrue(judge(scenario, {"a": self.gone(), "b": Story()}, OUTAGE[:1])["passed"])


class Lines(unittest.TestCase):
    def test_what_is_no_line_of_a_peer_is_passed_over(self):
        made = Story()
        for text in ("", "x", "[]", "1", '{"t": 1}', '{"event": "x"}'):
            self.assertFalse(made.add(text))
        self.assertEqual(made.lines, [])

    def test_a_reason_that_is_told_again_is_no_event(self):
        made = healed()
        at = next(i for i, line in enumerate(made.lines) if line.get("state") == "broken")
        made.lines.insert(at + 1, dict(made.lines[at], reason="another"))
        self.assertEqual([event.name for event in made.states()], list(HEALED))


class Catalogue(unittest.TestCase):
    def test_steps_are_in_order_and_marks_are_known(self):
        for scenario in SCENARIOS.values():
            times = [step.at_s for step in scenario.steps]
            self.assertEqual(times, sorted(times), scenario.name)
            for step in scenario.steps:
                self.assertIn(step.mark, ("", "outage", "usable", "change"), scenario.name)

    def test_what_is_expected_to_heal_becomes_usable(self):
        for scenario in SCENARIOS.values():
            marks = [step.mark for step in scenario.steps]
            for expect in scenario.sides.values():
                if expect.restore_ms is not None:
                    self.assertTrue({"usable", "change"} & set(marks), scenario.name)
                if expect.detect_ms is not None:
                    self.assertIn("outage", marks, scenario.name)


if __name__ == "__main__":
    unittest.main()
