"""What was measured in a run, and whether it is as expected. Pure: stories and marks in, numbers out."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Mark:
    """When a step was done: CLOCK_MONOTONIC in ms, when its command began, so that no time that is
    measured from it is too short."""

    kind: str
    t: float
    took_ms: float = 0


def windows(marks, grace_ms):
    """(from, to) of the times in which a side may say that the connection is broken."""
    found = []
    opened = None
    for mark in marks:
        if mark.kind == "outage" and opened is None:
            opened = mark.t
        elif mark.kind == "usable" and opened is not None:
            found.append((opened, mark.t + grace_ms))
            opened = None
        elif mark.kind == "change":
            found.append((mark.t, mark.t + grace_ms))
    if opened is not None:
        found.append((opened, float("inf")))
    return found


def false_alarms(events, marks, grace_ms):
    allowed = windows(marks, grace_ms)
    return sum(event.name == "broken" and
               not any(start <= event.t <= end for start, end in allowed) for event in events)


def first_between(events, name, start, end):
    return next((event for event in events if event.name == name and start <= event.t < end), None)


def detections(events, marks):
    """For each outage: ms until the side said so; None when it never did."""
    starts = [mark.t for mark in marks if mark.kind == "outage"]
    found = []
    for start, end in zip(starts, starts[1:] + [float("inf")]):
        event = first_between(events, "broken", start, end)
        found.append(event.t - start if event else None)
    return found


def restorations(story, events, marks):
    """For each time that the network became usable: ms until the side said so.

    After a change that no side noticed, the end of the time without data counts; 0 when there was
    none.
    """
    found = []
    for index, mark in enumerate(marks):
        if mark.kind not in ("usable", "change"):
            continue
        end = next((later.t for later in marks[index + 1:] if later.kind in ("outage", "change")),
                   float("inf"))
        event = first_between(events, "restored", mark.t, end)
        if event:
            found.append(event.t - mark.t)
        elif mark.kind == "change" and not first_between(events, "broken", mark.t, end):
            found.append(until_data(story, mark.t))
        else:
            found.append(None)
    return found


def until_data(story, t):
    """How long nothing came from then on; 0 when it was not noticeable, None when it was for good."""
    gap = story.gap_over(t)
    if gap is None:
        return 0.0
    return gap[1] - t if gap[1] < float("inf") else None


def data_again(story, marks):
    """For each time that the network became usable: ms until a message came."""
    return [until_data(story, mark.t) for mark in marks if mark.kind in ("usable", "change")]


def removals(events):
    """From broken to removed, where both were told: ms."""
    broken = first_between(events, "broken", 0, float("inf"))
    removed = first_between(events, "removed", 0, float("inf"))
    return [removed.t - broken.t] if broken and removed else []


def too_early(events, marks):
    """Whether it was restored while nothing could pass."""
    outages = windows([mark for mark in marks if mark.kind != "change"], 0)
    return any(event.name == "restored" and start <= event.t < end
               for event in events for start, end in outages)


def measure(story, marks, grace_ms):
    """The numbers of one side."""
    events = story.events()
    totals = story.totals or {}
    return {
        "events": [{"name": event.name, "t": event.t, "reason": event.reason} for event in events],
        "detected_ms": detections(events, marks),
        "restored_ms": restorations(story, events, marks),
        "data_ms": data_again(story, marks),
        "removed_ms": removals(events),
        "false_alarms": false_alarms(events, marks, grace_ms),
        "reasons": [event.reason for event in events if event.name == "broken"],
        "max_gap_ms": totals.get("max_gap_ms"),
        "max_stall_ms": totals.get("max_stall_ms"),
        "sent": totals.get("sent"),
        "received": totals.get("received"),
        "lost": totals.get("lost"),
        "doubled": totals.get("doubled"),
        "corrupt": totals.get("corrupt"),
        "finished": totals.get("finished", False),
        "paths": [[line["local"], line["remote"]] for line in story.all("path")],
    }


def names(events):
    return ", ".join(event.name for event in events) or "nothing"


def wrong_events(story, expect):
    """Order and number of what was told, and why it broke."""
    events = story.events()
    lacks = story.lacks()
    for name in story.unknown_properties():
        yield f"the agent has no property {name}, or it refuses the value"
    if lacks and any(expect.events):
        yield f"the connection has no signal {', '.join(lacks)}"
    if not lacks and [event.name for event in events] != [event.name for event in story.states()]:
        yield f"the signals say {names(events)}, the states {names(story.states())}"
    if tuple(event.name for event in events) not in expect.events:
        allowed = " or ".join(", ".join(one) or "nothing" for one in expect.events)
        yield f"it said {names(events)}, not {allowed}"
    for event in events:
        if event.name == "broken" and event.reason not in expect.reasons:
            yield (f"it broke for {event.reason or 'no reason that is told'}, "
                   f"not {' or '.join(expect.reasons)}")


def wrong_ways(story, expect):
    relayed = story.relayed()
    if expect.direct and not (relayed and relayed[0] and not relayed[-1]):
        yield f"its ways were {', '.join('relayed' if one else 'direct' for one in relayed)}"


def wrong_data(numbers, expect):
    for key in ("lost", "doubled", "corrupt"):
        if numbers[key]:
            yield f"{numbers[key]} messages {'were ' if key != 'corrupt' else ''}{key}"
    if expect.end == "finished" and not numbers["finished"]:
        yield "the transfer did not come to its end"


def wrong_end(story, expect):
    if expect.end == "finished":
        yield from story.failures()
    if expect.end == "removed" and not story.removal_error():
        yield "it was not removed with an error"
    if story.overdue:
        yield "it was not done in time, and was stopped"
    if story.totals is None:
        yield "it ended without its totals"
    # A crash, or what a sanitizer found at the end.
    good = (story.totals or {}).get("good")
    if story.status not in (None, 0, 1) or (good and story.status == 1):
        yield f"its exit code is {story.status}"


# Of what a busy machine is forgiven, for gaps: no command and no start of a program is in them.
GAP_SHARE = 0.2


def late(numbers, expect, slack_ms, stall_ms):
    """What took longer than was meant."""
    forgiven_ms = slack_ms + stall_ms
    for key, limit, what in (("detected_ms", expect.detect_ms, "noticed the outage"),
                             ("restored_ms", expect.restore_ms, "was restored")):
        for took in numbers[key] if limit is not None else ():
            if took is None:
                yield f"it never {what}"
            elif took > limit + forgiven_ms:
                yield f"it {what} after {took:.0f} ms, not {limit:g}"
    gap_slack_ms = stall_ms + slack_ms * GAP_SHARE
    if expect.gap_ms is not None and (numbers["max_gap_ms"] or 0) > expect.gap_ms + gap_slack_ms:
        yield f"nothing came for {numbers['max_gap_ms']:.0f} ms, not at most {expect.gap_ms:g}"
    if expect.removed_ms is not None:
        least, most = expect.removed_ms
        for took in numbers["removed_ms"]:
            if not least - forgiven_ms <= took <= most + forgiven_ms:
                yield f"it was removed {took:.0f} ms after it broke, not {least:g} to {most:g}"


def judge(scenario, stories, marks, slack_ms=0, grace_ms=2500):
    """The result of a run: {"passed", "problems", "late", "sides", …}.

    `slack_ms` is what a busy machine is forgiven, beside the stalls that the peers themselves
    measured. `grace_ms` is how long after an outage a side may still say that there was one.
    """
    sides = {side: measure(stories[side], marks, grace_ms) for side in scenario.sides}
    stopped = {step.do[1] for step in scenario.steps if step.do[:1] == ("signal",)}
    stall_ms = sum(numbers["max_stall_ms"] or 0 for side, numbers in sides.items()
                   if side not in stopped)
    problems, lateness = [], []
    for side, expect in scenario.sides.items():
        if expect.end == "killed":
            continue
        story, numbers = stories[side], sides[side]
        found = [*wrong_events(story, expect), *wrong_ways(story, expect),
                 *wrong_data(numbers, expect), *wrong_end(story, expect)]
        if numbers["false_alarms"]:
            found.append(f"{numbers['false_alarms']} false alarms")
        if too_early(story.events(), marks):
            found.append("it was restored while nothing could pass")
        problems += [f"{side}: {text}" for text in found]
        lateness += [f"{side}: {text}" for text in
                     late(numbers, expect, slack_ms, stall_ms)]
    return {
        "scenario": scenario.name,
        "passed": not problems and not lateness,
        "problems": problems,
        "late": lateness,
        "rtt_ms": scenario.rtt_ms,
        "slack_ms": slack_ms,
        "stall_ms": stall_ms,
        "marks": [dataclasses.asdict(mark) for mark in marks],
        "sides": sides,
    }
