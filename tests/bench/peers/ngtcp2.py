"""ngtcp2's own example client and server with GnuTLS: a large file by HTTP/3."""

import shutil
import time

from errors import Failed, Skipped
from peers.base import Peer, START_PATIENCE_S, rate
from peers.certificate import make_certificate, missing_certificate
from peers.iperf import wait_for_listener

FILE_BYTES = 1 << 30
WINDOWS = ("--max-window=64M", "--max-stream-window=64M")


class Ngtcp2(Peer):
    name = "ngtcp2"
    title = "gtlsclient ← gtlsserver"

    def missing(self, build):
        for tool in ("gtlsclient", "gtlsserver"):
            if shutil.which(tool) is None:
                return f"not installed: {tool}"
        return missing_certificate()

    def bulk(self, setting, message_bytes, seconds):
        """A download, so the near side serves. The whole file, whatever the window is."""
        if message_bytes != 65536:
            raise Skipped("has no messages")
        folder = setting.folder / "ngtcp2"
        key, certificate = self.prepare(folder)
        server = setting.start(
            ["gtlsserver", "-q", "--cc=bbr", f"--htdocs={folder}", setting.near.address,
             setting.port, key, certificate], setting.near)
        wait_for_listener(setting, server)
        before_s = server.cpu_s()
        started = time.monotonic()
        client = setting.start(
            ["gtlsclient", "-q", "--cc=bbr", *WINDOWS, "--max-data=16M",
             "--max-stream-data-bidi-local=16M", "--exit-on-all-streams-close",
             setting.near.address, setting.port,
             f"https://{setting.near.address}:{setting.port}/file"], setting.far)
        taken_s = 0.0
        deadline = started + START_PATIENCE_S * 2
        while client.process.poll() is None:
            if time.monotonic() > deadline:
                raise Failed("gtlsclient was not done in time")
            try:
                taken_s = client.cpu_s()
            except Failed:
                break
            time.sleep(0.005)
        took_s = time.monotonic() - started
        if client.wait_exit(1) != 0:
            raise Failed(f"gtlsclient: {client.last_words()}")
        return rate(FILE_BYTES, took_s, server.cpu_s() - before_s, taken_s)

    @staticmethod
    def prepare(folder):
        made = make_certificate(folder)
        with open(folder / "file", "wb") as file:
            file.truncate(FILE_BYTES)
        return made
