"""What a peer told: lines of JSON, as they come from lab-peer."""

import json

from .model import REASONS

EVENTS = ("broken", "restored", "removed")


class Event:
    def __init__(self, name, t, reason=None, error=None):
        self.name = name
        self.t = t
        self.reason = reason
        self.error = error

    def __repr__(self):
        return f"{self.name} at {self.t:.0f}" + (f" ({self.reason})" if self.reason else "")


class Story:
    """Grows line by line."""

    def __init__(self):
        self.lines = []
        self.status = None  # exit code; of a signal, its number below zero
        self._cut = None

    def add(self, text):
        """False when the line is none of lab-peer's."""
        try:
            line = json.loads(text)
        except ValueError:
            return False
        if not isinstance(line, dict) or "event" not in line or "t" not in line:
            return False
        self.lines.append(line)
        return True

    def all(self, event):
        return [line for line in self.lines if line["event"] == event]

    def first(self, event):
        return next(iter(self.all(event)), None)

    @property
    def totals(self):
        return self.first("totals")

    def lacks(self):
        """Signals that the connection does not have."""
        known = {line["name"]: line["known"] for line in self.all("signal-known")}
        return [name for name in EVENTS if not known.get(name, False)]

    def unknown_properties(self):
        return [line["name"] for line in self.all("property-unknown")]

    def cut(self):
        """The peers are late and will be stopped: what comes from now on is no event of theirs."""
        self._cut = len(self.lines)

    @property
    def overdue(self):
        return self._cut is not None

    def _until_finished(self):
        """What comes after the orderly end of both belongs to leaving."""
        for line in self.lines[:self._cut]:
            if line["event"] == "finished":
                return
            yield line

    def signals(self):
        """The events that the signals tell, before the peers finished."""
        found = []
        for line in self._until_finished():
            if line["event"] == "signal" and line["name"] in EVENTS:
                reasons = [text for text in line["args"] if text in REASONS]
                found.append(Event(line["name"], line["t"], reasons[0] if reasons else None))
        for event in found:
            if event.name == "broken" and event.reason is None:
                event.reason = self._break_reason(event.t)
        return found

    def states(self):
        """The same, as the states tell it."""
        found = []
        broken = False
        for line in self._until_finished():
            if line["event"] != "state":
                continue
            state = line["state"]
            if state == "broken" and not broken:
                found.append(Event("broken", line["t"], line.get("break-reason")))
            elif state == "connected" and broken:
                found.append(Event("restored", line["t"]))
            elif state == "removed":
                found.append(Event("removed", line["t"], error=line.get("error")))
            broken = state == "broken"
        return found

    def events(self):
        """From the signals where there are any, from the states otherwise."""
        return self.states() if "broken" in self.lacks() else self.signals()

    def _break_reason(self, t):
        """Of the state that was told nearest to that time."""
        states = [line for line in self.all("state") if line["state"] == "broken"]
        nearest = min(states, key=lambda line: abs(line["t"] - t), default={})
        return nearest.get("break-reason")

    def relayed(self):
        """Of each way that was in use, in order, whether it took a relay."""
        return [" relay " in f" {line['local']} {line['remote']} " for line in self.all("path")
                if line["local"]]

    def removal_error(self):
        return next((event.error for event in self.states() if event.name == "removed"), None)

    def failures(self):
        return [f"{line['what']}: {line['why']}" for line in self.lines[:self._cut]
                if line["event"] == "failed"]

    def gap_over(self, t):
        """(from, to) of the time without a message that began before `t` or just after it; to
        infinity, when no message came any more."""
        for line in self.all("gap"):
            end = float("inf") if line.get("open") else line["from"] + line["ms"]
            if end > t and line["from"] <= t + GAP_BEGINS_WITHIN_MS:
                return line["from"], end
        return None


# What was on its way, or in a queue, still arrives after a change.
GAP_BEGINS_WITHIN_MS = 500
