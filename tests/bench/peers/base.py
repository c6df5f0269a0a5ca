"""What a peer can be asked to do. Each call is one run and returns numbers by name."""

import shutil
import subprocess

from errors import Skipped

GIB = 1 << 30
# To find each other, connect and bring the first byte.
START_PATIENCE_S = 15


class Setting:
    """One run: the build, its folder, and where the two sides stand (sender or asking side first)."""

    def __init__(self, build, folder, programs, near, far, serial):
        self.build = build
        self.folder = folder
        self.programs = programs
        self.near = near
        self.far = far
        # Different for every run, so that nothing meets what is left of the last one.
        self.serial = serial

    @property
    def port(self):
        return 20000 + self.serial % 10000

    def start(self, argv, place, **env):
        return self.programs.start(argv, place, **env)


class Peer:
    name = ""
    title = ""

    def missing(self, build):
        """Why it cannot run here, or None."""
        return None

    def bulk(self, setting, message_bytes, seconds):
        raise Skipped("carries no bulk data")

    def pingpong(self, setting, count):
        raise Skipped("has no ping-pong here")

    def setup(self, setting):
        raise Skipped("is not measured here")

    def memory(self, setting, count):
        raise Skipped("is not measured here")

    def relay(self, setting, protocol, clients, message_bytes, seconds):
        raise Skipped("is no client of a TURN server")


def missing_element(*names):
    """The reason to leave a peer out when GStreamer lacks one of its elements; any version will do."""
    inspect = shutil.which("gst-inspect-1.0")
    for name in names:
        if inspect is None or subprocess.run(
                [inspect, "--atleast-version=0.0.0", "--exists", name]).returncode != 0:
            return f"not installed: GStreamer has no {name}"
    return None


def receive_window(sender, receiver, seconds):
    """What a receiver that speaks as endpoints/meter.hpp does got, and what it cost both sides."""
    first = receiver.wait_event("first", START_PATIENCE_S)
    before = sender.cpu_s(), receiver.cpu_s()
    end = receiver.wait_event("end", seconds + START_PATIENCE_S)
    after = sender.cpu_s(), receiver.cpu_s()
    result = rate(end["bytes"], end["seconds"], after[0] - before[0], after[1] - before[1])
    half = [tick for tick in receiver.ticks if tick["seconds"] >= end["seconds"] / 2]
    if half:
        span_s = end["seconds"] - half[0]["seconds"]
        result["late_mbit"] = (end["bytes"] - half[0]["bytes"]) * 8e-6 / span_s
    begun_us = max(sender.started_us, receiver.started_us)
    result["start_to_first_ms"] = (first["at_us"] - begun_us) / 1e3
    return result


def rate(size, seconds, sender_cpu_s, receiver_cpu_s):
    result = {
        "mbit": size * 8e-6 / seconds,
        "sender_core": sender_cpu_s / seconds,
        "receiver_core": receiver_cpu_s / seconds,
    }
    if size > 0:
        result["sender_s_per_gib"] = sender_cpu_s * GIB / size
        result["receiver_s_per_gib"] = receiver_cpu_s * GIB / size
    return result
