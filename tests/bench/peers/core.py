"""This project's transport alone: both ends on one thread, over a memory link, without the kernel."""

import re

from errors import Failed, Skipped
from peers.base import Peer, START_PATIENCE_S

MIB = 1024


class Core(Peer):
    name = "core"
    title = "the transport alone, on one core"

    def program(self, build):
        return build / "tests" / "transport" / "quic-loopback"

    def missing(self, build):
        return None if self.program(build).exists() else "not built"

    def bulk(self, setting, message_bytes, seconds):
        if message_bytes != 65536:
            raise Skipped("has no messages")
        program = setting.start([self.program(setting.build), MIB], setting.near)
        program.wait_exit(START_PATIENCE_S + seconds)
        found = re.match(r"([0-9.]+) Gbit/s", program.output[0] if program.output else "")
        if not found:
            raise Failed(f"quic-loopback: {program.last_words()}")
        return {"mbit": float(found[1]) * 1000}
