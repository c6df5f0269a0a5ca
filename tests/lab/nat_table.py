"""Which way two peers find behind each pair of NATs: a table in Markdown. Only inside of namespaces, see
nat-table.sh.
"""

import argparse
import datetime
import os
import pathlib
import sys
import tempfile

from scenario.model import Expect, Scenario
from scenario.world import Failed, World

HERE = pathlib.Path(__file__).resolve().parent
NATS = {
    "full": "full cone",
    "addr": "address-restricted",
    "port": "port-restricted",
    "sym": "symmetric",
}
# Longer than ICE tries.
PATIENCE_S = 20
# A relay may be replaced by a direct way that is found later.
SETTLE_S = 3
DIRECT, RELAY, NONE = "direct", "relay", "none"


def cell(build, nats, turn):
    """The last way that they used."""
    scenario = Scenario("-".join(nats), "", (), Expect(), Expect(), nats=nats, turn=turn,
                        peer=("--rate-kbit", "80"))
    with tempfile.TemporaryDirectory(prefix="p2p-nat-") as folder, \
            World(build, folder, scenario) as world:
        for side in ("a", "b"):
            world.start_peer(side)
        peers = world.peers.values()
        flows = [peer.wait_until(lambda story=peer.story: story.first("flowing"), PATIENCE_S)
                 for peer in peers]
        if not all(flows):
            return NONE
        for peer in peers:
            peer.wait_until(lambda: False, SETTLE_S / len(peers))
        # A side may take the other's relay for the peer itself, until its candidate comes.
        return RELAY if any(peer.story.relayed()[-1:] == [True] for peer in peers) else DIRECT


def table(build, names, turn):
    yield "| a \\ b | " + " | ".join(NATS[name] for name in names) + " |"
    yield "|---|" + "---|" * len(names)
    for a in names:
        row = []
        for b in names:
            row.append(cell(build, (a, b), turn))
            print(f"{a} {b} {'with' if turn else 'without'} TURN: {row[-1]}", file=sys.stderr, flush=True)
        yield f"| {NATS[a]} | " + " | ".join(row) + " |"


def text(build, names):
    yield "# Which way is found behind which NATs"
    yield ""
    yield "Measured in the laboratory, two hosts behind a NAT each, with `tests/lab/nat-table.sh --write`,"
    yield f"{datetime.date.today()}. Both peers use the rendezvous server, which answers STUN as well."
    yield "`direct`: from NAT to NAT; `relay`: through the TURN server (coturn, over UDP); `none`: not within"
    yield f"{PATIENCE_S} s. What is told is the way in use {SETTLE_S} s after data flows both ways."
    yield ""
    yield "The types are those of `tests/lab/natlab.sh`. All but the symmetric one map a socket to one port;"
    yield "they differ in who may send to it: anybody, addresses that were sent to, or their ports as well. The"
    yield "symmetric one has another port for each destination, and lets in what comes from there alone."
    yield ""
    for turn in (False, True):
        yield f"## {'With' if turn else 'Without'} a TURN server"
        yield ""
        yield from table(build, names, turn)
        yield ""


def main():
    parser = argparse.ArgumentParser(prog="nat-table.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=pathlib.Path,
                        default=os.environ.get("P2P_BUILD_DIR", HERE.parents[1] / "build"))
    parser.add_argument("--write", action="store_true", help="into docs/nat-matrix.md")
    parser.add_argument("nats", nargs="*", choices=[[], *NATS], metavar="NAT",
                        help=f"some of {', '.join(NATS)}; default: all")
    options = parser.parse_args()
    try:
        lines = "\n".join(text(options.build_dir, options.nats or list(NATS)))
    except Failed as problem:
        print(f"FAIL: {problem}", file=sys.stderr)
        return 1
    if options.write:
        (HERE.parents[1] / "docs/nat-matrix.md").write_text(lines, encoding="utf-8")
    else:
        print(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
