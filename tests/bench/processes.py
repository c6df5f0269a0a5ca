"""Programs of a run: started on given cores and in a given namespace, heard, and always ended."""

import json
import os
import queue
import signal
import subprocess
import threading
import time

from errors import Failed

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
END_PATIENCE_S = 2


class Program:
    """One process. Lines of its output that are JSON objects with an "event" are its events."""

    def __init__(self, argv, env, place):
        self.name = os.path.basename(argv[0])
        self.started_us = time.monotonic_ns() // 1000
        self.process = subprocess.Popen(
            place.command(argv), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True)
        self.pid = self.process.pid
        self.output = []
        self.errors = []
        self.ticks = []
        self._events = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True)]
        for thread in self._threads:
            thread.start()

    def _read_events(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if not line.startswith('{"event"'):
                self.output.append(line)
                continue
            event = json.loads(line)
            if event["event"] == "tick":
                self.ticks.append(event)
            else:
                self._events.put(event)
        self._events.put(None)

    def _read_errors(self):
        for raw in self.process.stderr:
            self.errors.append(raw.decode("utf-8", "replace").rstrip("\n"))

    def wait_event(self, name, patience_s):
        """The next event of that name; others are passed over."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{self.name} gave no “{name}” within {patience_s:g} s") from None
            if event is None:
                raise Failed(f"{self.name} ended: {self.last_words()}")
            if event["event"] == name:
                return event

    def wait_exit(self, patience_s):
        try:
            status = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} was not done within {patience_s:g} s") from None
        for thread in self._threads:
            thread.join(END_PATIENCE_S)
        return status

    def last_words(self):
        for thread in self._threads:
            thread.join(END_PATIENCE_S)
        lines = [line for line in self.errors + self.output if line.strip()]
        return lines[-1].strip()[:200] if lines else f"exit code {self.process.poll()}"

    def cpu_s(self):
        """Seconds of CPU that all its threads have taken, ended ones as well."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            raise Failed(f"{self.name} ended: {self.last_words()}") from None
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def stop(self):
        """Ends it by its id. A program that is asked and stays is killed."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            self.process.send_signal(number)
            try:
                self.process.wait(END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
        for thread in self._threads:
            thread.join(END_PATIENCE_S)
        self.process.stdout.close()
        self.process.stderr.close()


class Programs:
    """What a run has started; leaving the block ends all of it."""

    def __init__(self, env):
        self.env = env
        self._started = []

    def start(self, argv, place, **env):
        program = Program([str(word) for word in argv], {**self.env, **env}, place)
        self._started.append(program)
        return program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        while self._started:
            self._started.pop().stop()
