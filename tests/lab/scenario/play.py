"""One run of a scenario."""

import random
import signal
import time

from .verdict import Mark, judge
from .world import START_PATIENCE_S, Failed, World, now_ms

FINISH_PATIENCE_S = 20


def play(scenario, build, folder, slack_ms=0):
    """The result of judge(), and what both sides told."""
    with World(build, folder, scenario) as world:
        marks = run(scenario, world)
        stories = {side: peer.story for side, peer in world.peers.items()}
        words = {side: peer.last_words() for side, peer in world.peers.items()}
    result = judge(scenario, stories, marks, slack_ms)
    result["stderr"] = {side: text for side, text in words.items() if text}
    return result, stories


def run(scenario, world):
    for side in ("a", "b"):
        world.start_peer(side)
    for side, peer in world.peers.items():
        if not peer.wait_until(lambda story=peer.story: story.first("flowing"), START_PATIENCE_S):
            raise Failed(f"{side} never had a message: {peer.story.lines[-3:]} {peer.last_words()}")
    marks = do_steps(scenario, world)
    await_expected(scenario, world)
    for side, peer in world.peers.items():
        if scenario.sides[side].end == "finished":
            peer.send_signal(signal.SIGUSR1)
    deadline = time.monotonic() + FINISH_PATIENCE_S
    for peer in world.peers.values():
        peer.story.status = peer.wait_exit(deadline - time.monotonic())
    # Together, since stopping one of them tells the other.
    if any(not peer.ended() for peer in world.peers.values()):
        for peer in world.peers.values():
            peer.story.cut()
    return marks


def do_steps(scenario, world):
    start = time.monotonic() + random.uniform(0, scenario.jitter_s)
    marks = []
    for step in scenario.steps:
        sleep_until(start + step.at_s, world)
        began = now_ms()
        world.do(step.do)
        if step.mark:
            marks.append(Mark(step.mark, began, now_ms() - began))
    return marks


def sleep_until(when, world):
    """Or until nobody is there any more for whom it would be worth the wait."""
    while (left := when - time.monotonic()) > 0:
        if all(peer.ended() for peer in world.peers.values()):
            return
        time.sleep(min(left, 0.2))


def await_expected(scenario, world):
    """Until what was expected has come, and for what must not come a while longer."""
    deadline = time.monotonic() + scenario.patience_s
    for side, expect in scenario.sides.items():
        if expect.end == "killed":
            continue
        story = world.peers[side].story
        least = min(len(one) for one in expect.events)
        world.peers[side].wait_until(
            lambda: len(story.events()) >= least and not is_broken(story)
            and not (expect.direct and any(story.relayed()[-1:])),
            deadline - time.monotonic())
    if any(expect.end == "finished" for expect in scenario.sides.values()):
        sleep_until(time.monotonic() + scenario.settle_s, world)
        for side, expect in scenario.sides.items():
            story = world.peers[side].story
            if expect.end == "finished":
                world.peers[side].wait_until(lambda: not is_broken(story),
                                             deadline - time.monotonic())


def is_broken(story):
    events = story.events()
    return bool(events) and events[-1].name == "broken"
