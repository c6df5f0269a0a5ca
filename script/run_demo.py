"""The main job, shown: two gst-launch-1.0 processes that carry a file, then live video.

Usage: run_demo.py BUILD_DIR
"""

import hashlib
import os
import pathlib
import re
import secrets
import shlex
import subprocess
import sys
import tempfile
import threading
import time

FILE_BYTES = 256 << 20
FRAMES = 300
FRAMES_PER_S = 30
WIDTH, HEIGHT = 320, 240
# Far more than either part takes; it only ends a demo that hangs.
PATIENCE_S = 180

MESSAGE = re.compile(r'^Got message #\d+ from element "([^"]+)" \(([a-z-]+)\):? ?(.*)$')
TEXT = r'"(?:[^"\\]|\\.)*"'
FIELD = re.compile(r'([a-z0-9-]+)=\([^)]*\)(' + TEXT + r'|\{(?:' + TEXT + r'|[^}"])*\}|[^,;]*)')


class Failed(Exception):
    """The demo did not show what it should; the text says what."""


def say(text=""):
    print(text, flush=True)


def plain(value):
    """The text of a value that GStreamer has quoted."""
    if value.startswith('"'):
        value = value[1:-1]
    return re.sub(r"\\(.)", r"\1", value).strip()


def describe_candidates(lines):
    """SDP candidate lines in plain words, those of one kind in one line."""
    kinds = {}
    for line in lines:
        words = line.split()
        protocol, address, port, kind = words[2].lower(), words[4], words[5], words[7]
        if "tcptype" in words:
            protocol += " " + words[words.index("tcptype") + 1]
        where = f"[{address}]" if ":" in address else address
        # An active TCP candidate has no port of its own (RFC 6544: 9).
        kinds.setdefault(f"{kind} {protocol}", []).append(
            where if protocol == "tcp active" else f"{where}:{port}")
    return [f"{kind}: {', '.join(places)}" for kind, places in kinds.items()]


def parse_structure(text):
    """The name and the fields of a GstStructure as gst-launch-1.0 -m prints it."""
    name, _, rest = text.partition(",")
    fields = {}
    for key, value in FIELD.findall(rest):
        if value.startswith("{"):
            fields[key] = [plain(item) for item in re.findall(TEXT, value)]
        elif value != "NULL":
            fields[key] = plain(value)
    return name.strip(" ;"), fields


class Peer:
    """One gst-launch-1.0 process, and what it says in plain words."""

    def __init__(self, name, pipeline, env):
        self.name = name
        self.connected_at = None
        self.pair = None
        self.complaints = []
        say(f"  {name}: gst-launch-1.0 {hide_secret(pipeline)}")
        self.process = subprocess.Popen(
            ["gst-launch-1.0", "-m", *shlex.split(pipeline)], env=env, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        for line in self.process.stdout:
            message = MESSAGE.match(line.rstrip())
            if message and message.group(2) == "element":
                self.tell(*parse_structure(message.group(3)))
            elif line.startswith(("ERROR", "WARNING", "Additional debug info")):
                self.complaints.append(line.strip())
                say(f"  {self.name}: {line.strip()}")

    def tell(self, name, fields):
        if not name.startswith("p2p-"):
            return
        if name != "p2p-connection-state":
            words = ", ".join(f"{key} {value}" for key, value in fields.items())
            say(f"  {self.name}: {name.removeprefix('p2p-')} {words}")
            return
        state = fields.get("state", "unknown")
        reason = fields.get("reason")
        peer = fields.get("peer", "the peer")
        if state != "connected":
            say(f"  {self.name}: {state} to {peer}" + (f" ({reason})" if reason else ""))
            return
        if self.connected_at is None:
            self.connected_at = time.monotonic()
        self.pair = (fields.get("local-candidate"), fields.get("remote-candidate"))
        way = "through a TURN relay" if fields.get("relayed", "").lower() == "true" else "directly"
        took = f" after {fields['connect-took-ms']} ms" if "connect-took-ms" in fields else ""
        say(f"  {self.name}: connected to {peer}, {way}{took}")
        for line in describe_candidates(fields.get("local-candidates", [])):
            say(f"      offered       {line}")
        say(f"      pair in use   {self.pair[0]}")
        say(f"                    {self.pair[1]} of {peer}")
        if "authentication" in fields:
            say(f"      the peer is proved by its {fields['authentication']}")

    def finish(self, deadline):
        try:
            status = self.process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} was not done after {PATIENCE_S} s") from None
        self.reader.join()
        if status != 0:
            raise Failed(f"{self.name} ended with exit code {status}")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def hide_secret(pipeline):
    return re.sub(r"secret=\S+", "secret=…", pipeline)


def carry(env, sender, receiver):
    """Runs both ends; the seconds from the connection to the receiver's end of stream."""
    deadline = time.monotonic() + PATIENCE_S
    peers = [Peer("bob", receiver, env)]
    try:
        peers.append(Peer("alice", sender, env))
        for peer in reversed(peers):
            peer.finish(deadline)
        ended_at = time.monotonic()
        for peer in peers:
            if peer.connected_at is None:
                raise Failed(f"{peer.name} never said that it was connected")
        return ended_at - min(peer.connected_at for peer in peers)
    finally:
        for peer in peers:
            peer.stop()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def show_file(work, env, ends):
    say(f"1. A file of {FILE_BYTES >> 20} MiB, made of the programs and libraries of this machine")
    sent, received = work / "sent", work / "received"
    maker = pathlib.Path(__file__).with_name("sample-file")
    subprocess.run([str(maker), str(FILE_BYTES), str(sent)], check=True)
    sink, source = ends
    took_s = carry(env, f"filesrc location={sent} ! {sink}", f"{source} ! filesink location={received}")
    size = received.stat().st_size
    say(f"  {size} bytes in {took_s:.2f} s: {size / took_s / 1e6:.0f} MB/s")
    before, after = sha256(sent), sha256(received)
    say(f"  SHA-256 of what was sent      {before}")
    say(f"  SHA-256 of what has arrived   {after}")
    if before != after:
        raise Failed("the file that arrived is not the file that was sent")
    say("  They are the same.")
    sent.unlink()
    received.unlink()


def show_video(work, env, ends):
    say(f"2. Live H.264: {FRAMES} frames of a test picture, {FRAMES_PER_S} a second")
    raw = work / "frames"
    sink, source = ends
    sender = (f"videotestsrc is-live=true num-buffers={FRAMES} pattern=ball ! "
              f"video/x-raw,width={WIDTH},height={HEIGHT},framerate={FRAMES_PER_S}/1 ! "
              f"x264enc tune=zerolatency ! h264parse ! {sink}")
    receiver = (f"{source} ! decodebin ! videoconvert ! video/x-raw,format=GRAY8 ! "
                f"filesink location={raw}")
    took_s = carry(env, sender, receiver)
    frame_bytes = WIDTH * HEIGHT
    frames, rest = divmod(raw.stat().st_size, frame_bytes)
    with open(raw, "rb") as stream:
        pictures = {hashlib.sha256(stream.read(frame_bytes)).digest() for _ in range(frames)}
    say(f"  {frames} frames decoded at the far end in {took_s:.1f} s, "
        f"{len(pictures)} different pictures")
    if frames != FRAMES or rest:
        raise Failed(f"{FRAMES} frames were sent, {frames} were decoded")
    # A frozen picture would be counted as well as a moving one.
    if len(pictures) < FRAMES // 2:
        raise Failed("the picture does not move as the test picture does")


def main(build_dir):
    with tempfile.TemporaryDirectory(prefix="p2p-demo-") as folder:
        work = pathlib.Path(folder)
        env = dict(os.environ)
        # A registry, a meeting point and an identity of the demo's own: it leaves nothing behind.
        env["GST_REGISTRY"] = str(work / "registry.bin")
        env["XDG_RUNTIME_DIR"] = str(work)
        env["XDG_DATA_HOME"] = str(work / "data")
        env["GST_PLUGIN_PATH"] = f"{build_dir}/gst:{env.get('GST_PLUGIN_PATH', '')}".rstrip(":")
        secret = secrets.token_urlsafe(24)
        ends = (f"p2psink id=alice peer=bob secret={secret}", f"p2psrc id=bob peer=alice secret={secret}")
        try:
            show_file(work, env, ends)
            say()
            show_video(work, env, ends)
        except Failed as problem:
            say(f"\nThe demo failed: {problem}.")
            return 1
    say("\nBoth parts of the demo worked.")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
