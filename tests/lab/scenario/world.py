"""The laboratory and the programs in it. Leaving the block ends all of it."""

import os
import pathlib
import secrets
import signal
import subprocess
import threading
import time

from .story import Story

HERE = pathlib.Path(__file__).resolve().parent.parent
PUBLIC = "203.0.113."
SERVER = PUBLIC + "10"
RENDEZVOUS_PORT = 7480
IDS = {"a": "alice", "b": "bob"}
START_PATIENCE_S = 60  # under valgrind on a busy machine
END_PATIENCE_S = 2


class Failed(Exception):
    """The laboratory itself did not do what was asked."""


def now_ms():
    return time.monotonic_ns() / 1e6


class Program:
    """A process, and what it says."""

    def __init__(self, argv, env, log):
        self.story = Story()
        self.log = log
        self.changed = threading.Condition()
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=errors)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for raw in self.process.stdout:
            text = raw.decode("utf-8", "replace")
            with self.changed:
                self.story.add(text)
                self.changed.notify_all()
        self.process.wait()
        with self.changed:
            self.changed.notify_all()

    def ended(self):
        return self.process.poll() is not None

    def wait_until(self, holds, patience_s):
        """Whether it came to hold; the wait ends with the process, too."""
        with self.changed:
            self.changed.wait_for(lambda: holds() or self.ended(), max(0, patience_s))
            return holds()

    def wait_exit(self, patience_s):
        try:
            status = self.process.wait(max(0, patience_s))
        except subprocess.TimeoutExpired:
            return None
        self._reader.join()
        return status

    def send_signal(self, number):
        if not self.ended():
            self.process.send_signal(number)

    def stop(self):
        # A stopped process takes its signals when it goes on.
        for number in (signal.SIGTERM, signal.SIGCONT, signal.SIGKILL):
            self.send_signal(number)
            if number != signal.SIGTERM and self.wait_exit(END_PATIENCE_S) is not None:
                break
        self._reader.join()
        self.process.stdout.close()

    def last_words(self):
        errors = pathlib.Path(self.log).read_text(encoding="utf-8", errors="replace")
        return " ".join(errors.split())[-300:]


class World:
    """Two hosts behind two NATs, and a public server. The namespaces are the caller's: scenario.sh."""

    def __init__(self, build, folder, scenario):
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(folder)
        self.scenario = scenario
        self.lab = os.environ["LAB"]
        self.secret = secrets.token_urlsafe(24)
        self.peers = {}
        self._rendezvous = None

    def __enter__(self):
        try:
            delay = str(self.scenario.delay_ms)
            self.natlab("up", *self.scenario.nats, delay, delay)
            if self.scenario.uplink:
                self.natlab("uplink", "a2", "port", delay)
                self.natlab("link", "a2", "down")
            if self.scenario.turn:
                self.natlab("turn", "start")
            for number in self.scenario.turns:
                self.natlab("turn", "start", str(number))
            if self.scenario.blocked:
                self.natlab("direct", "block")
            self.start_rendezvous()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for peer in self.peers.values():
            peer.stop()
        if self._rendezvous is not None:
            self._rendezvous.stop()
        subprocess.run([HERE / "natlab.sh", "down"], capture_output=True)

    def natlab(self, *words):
        done = subprocess.run([HERE / "natlab.sh", *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"natlab.sh {' '.join(words)}: {done.stderr.strip()}")

    def in_namespace(self, name, *argv):
        return ["ip", "netns", "exec", f"{self.lab}-{name}", *map(str, argv)]

    def start_rendezvous(self):
        program = os.environ.get("P2P_RENDEZVOUS", self.build / "tools/p2p-rendezvous")
        self._rendezvous = Program(
            self.in_namespace("pub", program, "--listen", f"0.0.0.0:{RENDEZVOUS_PORT}"),
            os.environ, self.folder / "rendezvous.log")
        deadline = time.monotonic() + START_PATIENCE_S
        listens = self.in_namespace("pub", "ss", "-Hltn", "sport", "=", f":{RENDEZVOUS_PORT}")
        while not subprocess.run(listens, capture_output=True).stdout.strip():
            if self._rendezvous.ended() or time.monotonic() > deadline:
                raise Failed(f"the rendezvous server: {self._rendezvous.last_words()}")
            time.sleep(0.02)

    def kill_rendezvous(self):
        self._rendezvous.send_signal(signal.SIGKILL)
        self._rendezvous.wait_exit(END_PATIENCE_S)

    def start_peer(self, side):
        me, other = IDS[side], IDS["b" if side == "a" else "a"]
        options = ["--id", me, "--peer", other, "--secret", self.secret,
                   "--rendezvous", f"ws://{SERVER}:{RENDEZVOUS_PORT}", *self.scenario.peer]
        if self.scenario.turn:
            options += ["--turn", f"turn://test:test@{SERVER}:3478"]
        for number in self.scenario.turns:
            options += ["--turn", f"turn://test:test@{PUBLIC}{number}:3478"
                        f"?transport={self.scenario.turn_transport}"]
        program = os.environ.get("P2P_LAB_PEER", self.build / "tests/lab/lab-peer")
        # An identity of its own.
        env = {**os.environ, "XDG_DATA_HOME": str(self.folder / me)}
        self.peers[side] = Program(self.in_namespace(f"h{side}", program, *options), env,
                                   self.folder / f"{me}.log")

    def do(self, words):
        """One step of a scenario."""
        if words[0] == "rendezvous":
            if words[1] == "kill":
                self.kill_rendezvous()
            else:
                self.start_rendezvous()
        elif words[0] == "signal":
            self.peers[words[1]].send_signal(signal.Signals["SIG" + words[2]])
        else:
            self.natlab(*words)
