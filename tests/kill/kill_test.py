"""Two processes send numbered messages to each other over durable channels, and are killed with
SIGKILL at random instants, one or both, inside of a write to their store or anywhere else, and
started again, until all is done. Each message must have had its effect once, and in order.

    kill_test.py --peer PROGRAM --rendezvous-program PROGRAM [--runs N] [--seed N] [--store KIND]

The last line tells how many runs passed; before it, how long the side that lived waited from the start of
the new process until it was restored.
"""

import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

LINE_BYTES = 16
RUN_TIMEOUT_S = 120
SLOW_MS = 300  # on loopback, without a meeting point


class Side:
    """One side, through all of its processes."""

    def __init__(self, name, peer, folder, options):
        self.name = name
        self.log = folder / f"{name}.log"
        self.effects = folder / f"{name}.effects"
        store = f"sqlite:{folder / (name + '.db')}" if options.store == "sqlite" else options.store
        data = folder / f"{name}-data"
        self.environment = dict(os.environ, XDG_DATA_HOME=str(data), XDG_RUNTIME_DIR=str(folder),
                                HOME=str(folder))
        self.command = [options.peer, name, peer, store, str(self.effects), str(options.messages),
                        options.rendezvous]
        self.process = None
        self.kills = 0

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self.environment)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def done(self):
        return self.effects.stat().st_size // LINE_BYTES if self.effects.exists() else 0

    def connected(self):
        return "state connected" in self.log.read_text(errors="replace")

    def finished(self):
        return self.process.poll() is not None

    def check(self, messages):
        wanted = b"".join(b"%015d\n" % number for number in range(messages))
        if self.process.returncode != 0:
            return f"{self.name} ended with {self.process.returncode}"
        if self.effects.read_bytes() != wanted:
            return f"{self.name}'s effects are not those of each message once"
        return None

    def story(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- {self.name}"] + lines[-25:])


def restore_times(one, other):
    """From each start of a process, if it lived so long, until the other side said that it is connected
    again."""
    def events(side):
        found = []
        for line in side.log.read_text(errors="replace").splitlines():
            at, _, what = line.partition(" ")
            if at.isdigit():
                found.append((int(at), what))
        return found
    times = []
    theirs = events(other)
    starts = [at for at, what in events(one) if what.startswith("start")]
    for at, end in zip(starts[1:], starts[2:] + [float("inf")]):
        later = [(t, w) for t, w in theirs if at <= t < end]
        for position, (t, w) in enumerate(later):
            if w.startswith("start"):
                break
            if w == "state connected":
                times.append(t - at)
                break
    return times


def one_run(number, options, rendezvous):
    chance = random.Random(options.seed * 100000 + number)
    with tempfile.TemporaryDirectory(prefix="p2p-kill-") as name:
        folder = pathlib.Path(name)
        # A meeting point remembers for a while whose an id was.
        names = f"alice{number}", f"bob{number}"
        sides = [Side(*names, folder, options), Side(*names[::-1], folder, options)]
        if options.alone and rendezvous.process.poll() is not None:
            rendezvous.start()
        for side in sides:
            side.start()
        until = time.monotonic() + RUN_TIMEOUT_S
        kills = chance.randint(2, options.kills)
        problem = None
        while problem is None and not all(side.finished() for side in sides):
            crashed = [side for side in sides if side.finished() and side.process.returncode != 0]
            if crashed:
                problem = f"{crashed[0].name} ended with {crashed[0].process.returncode}"
                break
            if time.monotonic() > until:
                problem = f"not done after {RUN_TIMEOUT_S} s"
            # From when both have something in their stores: before that a session is a new one.
            early = all(not side.finished() and 0 < side.done() < options.messages * 9 // 10
                        for side in sides)
            if not early or kills == 0:
                time.sleep(0.02)
                continue
            time.sleep(chance.uniform(0, options.between))
            victims = chance.choice([sides[:1], sides[1:], sides])
            if any(side.finished() or side.done() >= options.messages for side in sides):
                continue
            if options.alone and not all(side.connected() for side in sides):
                continue
            kills -= 1
            if options.alone:
                rendezvous.stop()
            for side in victims:
                side.kill()
            time.sleep(chance.choice([0, chance.uniform(0, 0.3), chance.uniform(0, options.away)]))
            if not options.alone and chance.random() < 0.2:
                rendezvous.restart()
            for side in victims:
                side.start()
        for side in sides:
            if not side.finished():
                side.kill()
            problem = problem or side.check(options.messages)
        times = restore_times(sides[0], sides[1]) + restore_times(sides[1], sides[0])
        killed = sum(side.kills for side in sides)
        slow = [time for time in times if time > SLOW_MS]
        if slow:
            print(f"run {number}: restored only after {slow} ms", flush=True)
        if problem:
            print(f"run {number} failed after {killed} kills: {problem}")
            print("\n".join(side.story() for side in sides), flush=True)
            if options.keep:
                subprocess.run(["cp", "-r", name, options.keep], check=False)
        return problem is None, killed, times


class Rendezvous:
    """The meeting point, which comes and goes as well."""

    def __init__(self, program):
        self.program = program
        self.port = None
        self.process = None
        self.start()

    def start(self):
        where = f"127.0.0.1:{self.port or 0}"
        self.process = subprocess.Popen([self.program, "--listen", where], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True,
                                        stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline()
        if self.port is None:
            self.port = int(line.split("://")[1].split()[0].rpartition(":")[2])

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        self.process.kill()
        self.process.wait()

    @property
    def uri(self):
        return f"ws://127.0.0.1:{self.port}"


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True)
    parser.add_argument("--rendezvous-program", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=8, help="at most, in each run")
    parser.add_argument("--between", type=float, default=0.4, help="seconds between kills, at most")
    parser.add_argument("--away", type=float, default=2.0, help="seconds dead, at most")
    parser.add_argument("--alone", action="store_true",
                        help="the meeting point goes with the first kill")
    parser.add_argument("--store", default="sqlite", help="sqlite, or a URI for both sides")
    parser.add_argument("--keep", help="a folder for what is left of runs that fail")
    options = parser.parse_args()
    rendezvous = Rendezvous(options.rendezvous_program)
    options.rendezvous = rendezvous.uri
    passed = kills = 0
    times = []
    try:
        for number in range(options.runs):
            good, killed, waited = one_run(number, options, rendezvous)
            passed += good
            kills += killed
            times += waited
    finally:
        rendezvous.stop()
    if times:
        print(f"restored after the start of the other process: median {percentile(times, 0.5)} ms, "
              f"p99 {percentile(times, 0.99)} ms, {len(times)} times")
    print(f"{passed} of {options.runs} runs passed, {kills} kills")
    return 0 if passed == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
