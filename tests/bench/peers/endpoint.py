"""The programs of tests/bench/endpoints: two processes, each an end of the same library."""

import time

from errors import Skipped
from peers.base import Peer, START_PATIENCE_S, missing_element, receive_window

SETTLE_S = 12
IDLE_S = 8


class Endpoint(Peer):
    blocking = False
    # Of setup: the side whose first byte is waited for.
    offering_speaks_first = True

    def __init__(self, name, title, program):
        self.name = name
        self.title = title
        self.program = program

    def path(self, build):
        return build / "tests" / "bench" / self.program

    def missing(self, build):
        if not self.path(build).exists():
            return "not installed: its development package was missing when this was built"
        if self.program == "bench-webrtc":
            return missing_element("webrtcbin", "nicesrc", "dtlsdec", "sctpdec")
        return None

    def pair(self, setting, near_work, far_work, *options):
        """The two processes; the near one offers."""
        exchange = setting.folder / f"exchange-{setting.serial}"
        common = ["--exchange", exchange, *options]
        if self.blocking:
            common.append("--blocking")
        program = self.path(setting.build)
        near = setting.start([program, near_work, "--offer", *common], setting.near)
        far = setting.start([program, far_work, *common], setting.far)
        return near, far

    def bulk(self, setting, message_bytes, seconds):
        near, far = self.pair(setting, "send", "receive", "--bytes", message_bytes,
                              "--seconds", seconds)
        return receive_window(near, far, seconds)

    def pingpong(self, setting, count):
        near, _ = self.pair(setting, "ping", "pong", "--bytes", 64, "--count", count)
        pings = near.wait_event("pings", START_PATIENCE_S + count * 0.005)
        return {key: pings[key] for key in ("p50_us", "p99_us", "min_us")}

    def setup(self, setting):
        works = ("send", "receive") if self.offering_speaks_first else ("receive", "send")
        near, far = self.pair(setting, *works, "--bytes", 64, "--mbit", 0.1)
        begun_us = max(near.started_us, far.started_us)
        knows_us = max(end.wait_event("knows", START_PATIENCE_S)["at_us"] for end in (near, far))
        hearing = far if self.offering_speaks_first else near
        first_us = hearing.wait_event("first", START_PATIENCE_S)["at_us"]
        return {"start_to_first_ms": (first_us - begun_us) / 1e3,
                "knows_to_first_ms": (first_us - knows_us) / 1e3}

    def memory(self, setting, count):
        near, far = self.pair(setting, "hold", "hold", "--count", count, "--bytes", 64)
        result = {}
        for end, side in ((near, "offering"), (far, "answering")):
            held = end.wait_event("held", START_PATIENCE_S + count * 0.5)
            result[f"{side}_kib"] = (held["after"] - held["before"]) / count / 1024
            result["per_s"] = count / held["seconds"]
        # What has just connected still has something to do.
        time.sleep(SETTLE_S)
        before_s = near.cpu_s()
        time.sleep(IDLE_S)
        result["idle_core"] = (near.cpu_s() - before_s) / IDLE_S
        return result


class P2p(Endpoint):
    # The answering side has the greater id, so it is the QUIC client: what it says comes half a
    # round trip earlier than what the other says.
    offering_speaks_first = False


class BlockingEndpoint(Endpoint):
    blocking = True


class Pion(Endpoint):
    MOST_BYTES = 65536  # one less in fact; the program sees to it

    def bulk(self, setting, message_bytes, seconds):
        if message_bytes > self.MOST_BYTES:
            raise Skipped("takes messages of at most 65535 bytes")
        return super().bulk(setting, message_bytes, seconds)
