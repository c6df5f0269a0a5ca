"""Makes the report of results.json: tables in results.md, and an SVG plot per group and field.

report.py FOLDER    writes both again from FOLDER/results.json
"""

import json
import pathlib
import sys

import figures
import svg
from summary import number, ratio, spread

OURS = "p2p-gst"
# What is ours is drawn and compared as such; everything else is what a user would take instead.
OWN = ("p2p-gst", "p2p", "p2p-blocking", "core", "turn")


class Field:
    """A number of each run: its name there, how it is headed, and its unit (value times factor)."""

    def __init__(self, name, heading, unit, factor=1.0, plot=False, more_is_better=False):
        self.name = name
        self.heading = heading
        self.unit = unit
        self.factor = factor
        self.plot = plot
        self.more_is_better = more_is_better


class Group:
    """One section of the report. The ratio is that of `base`'s first field to each peer's."""

    def __init__(self, title, base, fields, text):
        self.title = title
        self.base = base
        self.fields = fields
        self.text = text


MBIT = Field("mbit", "Goodput", "Mbit/s", plot=True, more_is_better=True)
LATE = Field("late_mbit", "In the second half", "Mbit/s")
COSTS = (Field("sender_s_per_gib", "CPU, sender", "s/GiB", plot=True),
         Field("receiver_s_per_gib", "CPU, receiver", "s/GiB", plot=True))
CORES = (Field("sender_core", "Sender", "% of a core", 100, plot=True),
         Field("receiver_core", "Receiver", "% of a core", 100, plot=True))

GROUPS = {
    "bulk": Group("Bulk on one machine", OURS, (
        Field("mbit", "Goodput", "Gbit/s", 1e-3, plot=True, more_is_better=True), *COSTS),
        "From the first byte that arrives, for a fixed time; CPU of both processes in that time. TCP,"
        " SRT and libnice are not encrypted; the others are. ngtcp2 downloads one file of 1 GiB,"
        " handshake and end included. TCP and libnice carry a byte stream: a message is one call."),
    "pingpong": Group("Ping-pong", "p2p", (
        Field("p50_us", "p50", "µs", plot=True), Field("p99_us", "p99", "µs")),
        "Pinned to the cores that are named, both processes in the same way."),
    "setup": Group("Setup", "p2p", (
        Field("knows_to_first_ms", "Both know the candidates → first byte", "ms", plot=True),
        Field("start_to_first_ms", "Both processes started → first byte", "ms", plot=True)),
        "The first byte of the application, as the receiver gets it. Starting gst-launch-1.0 and"
        " signaling are in the second figure; SRT has no candidates."),
    "cpu": Group("CPU at 1 Gbit/s", OURS, (*CORES, MBIT),
                 "Sent as fast as the device takes it: a token bucket of 1 Gbit/s. CPU of each"
                 " process; what the kernel does for it in other contexts is not in it."),
    "kept": Group("Sessions that are kept", OURS, (
        Field("mbit", "Goodput", "Gbit/s", 1e-3, plot=True, more_is_better=True), *COSTS),
        "The same as above, each side with a session store of its own: SQLite in a file, or one"
        " redis-server with an append-only file. CPU of redis-server is not in it."),
    "memory": Group("Memory of a connection", "p2p", (
        Field("offering_kib", "Growth per connection, one agent", "KiB", plot=True),
        Field("answering_kib", "Growth per connection, an agent each", "KiB"),
        Field("idle_core", "All of them idle", "% of a core", 100),
        Field("per_s", "Connections made", "1/s")),
        "Resident memory of a process that holds N idle connections. libnice and webrtcbin have one"
        " object per connection on both sides."),
    "wire": Group("Bulk over a wire", OURS, (MBIT, LATE),
                  "tests/lab/delaywire between two network namespaces: loss in both directions, a"
                  " queue of one round trip. From the first byte, so that the start is in it; beside"
                  " it what flowed in the second half of the time. The wire is a process of its own"
                  " on the same cores."),
    "flows": Group("Two flows on one wire", OURS, (
        Field("jain", "Jain's index", "1 is equal", plot=True, more_is_better=True),
        Field("mbit", "Both together", "Mbit/s")),
        "In the time in which both ran."),
    "relay": Group("Through a TURN server", "turn", (
        MBIT, Field("offered_mbit", "Offered", "Mbit/s"),
        Field("client_core", "Client", "% of a core", 100, plot=True),
        Field("server_core", "coturn", "% of a core", 100),
        Field("client_s_per_gib", "CPU, client", "s/GiB")),
        "Each client sends 50 datagrams at each tick of its timer, some 250 a second, to the relayed"
        " address of its partner, in ChannelData; the transport is that to coturn. All clients are one"
        " process with one thread, and coturn is another. What arrives at the clients counts, of all"
        " together."),
    "relay-recovery": Group("After a 437", "turn", (
        Field("refresh_ms", "To a Refresh", "ms"), Field("channel_bind_ms", "To a ChannelBind", "ms")),
        "From the answer to the permission of the next allocation, the longest of each run. A NAT gives"
        " the five-tuple another port, of which coturn knows no allocation."),
    "relay-idle": Group("Allocations that are kept", "turn", (
        Field("kib", "Memory of each", "KiB"), Field("idle_core", "All of them idle", "% of a core", 100),
        Field("per_s", "Made", "1/s")),
        "Private memory of the process, without the first tenth. Each asks every 15 s whether it is still"
        " there."),
}


def cell(value, factor):
    if value is None:
        return "–"
    median, least, most = (number(x * factor) for x in (value.median, value.least, value.most))
    return f"{median} ({least}–{most})"


def without_value(entry):
    if entry["skipped"] is not None:
        return entry["skipped"]
    return f"failed: {entry['errors'][0]}" if entry["errors"] else "no run"


def table(group, workload, titles):
    fields = group.fields
    base_name = group.base
    base = spread(workload["peers"].get(base_name, {"runs": []}), fields[0].name)
    head = [f"{field.heading} [{field.unit}]" for field in fields]
    lines = ["| | " + " | ".join(head) + f" | {base_name} ÷ it | runs |",
             "|---|" + "---:|" * (len(fields) + 2)]
    notes = []
    for name, entry in workload["peers"].items():
        label = f"**{titles[name]}**" if name in OWN else titles[name]
        if not entry["runs"]:
            notes.append(f"{titles[name]}: {without_value(entry)}.")
            continue
        cells = [cell(spread(entry, field.name), field.factor) for field in fields]
        times = ratio(base, spread(entry, fields[0].name))
        runs = str(len(entry["runs"]))
        if entry["errors"]:
            runs += f" of {len(entry['runs']) + len(entry['errors'])}"
            notes.append(f"{titles[name]}: {len(entry['errors'])} failed: {entry['errors'][0]}.")
        lines.append(f"| {label} | " + " | ".join(cells) +
                     f" | {number(times)}{' ×' if times is not None else ''} | {runs} |")
    lines.append("")
    lines.extend(f"- {note}" for note in notes)
    if notes:
        lines.append("")
    return lines


def matrices(workloads):
    """This project's goodput on every wire: a table per rate, RTT down and loss across."""
    cells = {tuple(one["parameters"][name] for name in ("mbit", "rtt_ms", "loss_percent")):
             spread(one["peers"].get(OURS, {"runs": []}), MBIT.name) for one in workloads}
    for mbit in sorted({key[0] for key in cells}):
        rtts = sorted({key[1] for key in cells if key[0] == mbit})
        losses = sorted({key[2] for key in cells if key[0] == mbit})
        yield from (f"### p2psink → p2psrc on {mbit} Mbit/s: goodput [Mbit/s]", "")
        yield "| RTT | " + " | ".join(f"{loss:g} % loss" for loss in losses) + " |"
        yield "|---:|" + "---:|" * len(losses)
        for rtt_ms in rtts:
            row = [cells.get((mbit, rtt_ms, loss)) for loss in losses]
            yield f"| {rtt_ms} ms | " + " | ".join(cell(value, 1) for value in row) + " |"
        yield ""


def plots(key, group, workloads, titles):
    """(file name, SVG) of each field that is drawn, with the workloads that compare."""
    workloads = [one for one in workloads if len(one["peers"]) > 1]
    for field in group.fields:
        if not field.plot:
            continue
        groups = []
        for workload in workloads:
            entries = [(titles[name], scaled(spread(entry, field.name), field.factor), name in OWN)
                       for name, entry in workload["peers"].items() if entry["runs"]]
            groups.append((workload["title"], [bar for bar in entries if bar[1] is not None]))
        if any(group_bars for _, group_bars in groups):
            yield f"{key}-{field.name.replace('_', '-')}.svg", svg.bars(
                f"{group.title}: {field.heading}", field.unit, groups, one_scale=key != "wire")


def scaled(value, factor):
    if value is not None:
        value.median *= factor
        value.least *= factor
        value.most *= factor
    return value


def machine_of(part, about):
    """What the one that measured again has otherwise; two of the same name may still differ."""
    one = part["machine"]
    other = [one[key] for key in ("cpu", "cores", "system") if one[key] != about[key]]
    if one["kernel"] != about["kernel"]:
        other.append(f"Linux {one['kernel']}")
    return f"; {', '.join(map(str, other))}" if other else ""


def heading(results):
    about = results["machine"]
    yield "# Results"
    yield ""
    yield (f"`{results['command']}`, {results['date']}, {results['minutes']} min, "
           f"{results['rounds']} rounds. Median (least–most) of the rounds.")
    yield ""
    yield (f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB; {about['system']}, "
           f"Linux {about['kernel']}. Load average {results['load_before']:.2f} before, "
           f"{results['load_after']:.2f} after.")
    for part in results.get("again", ()):
        yield ""
        yield (f"Again, {', '.join(part['names'])}: `{part['command']}`, {part['date']}, "
               f"{part['minutes']} min, {part['rounds']} rounds; gst-p2p "
               f"{part['versions']['gst-p2p']}{machine_of(part, about)}. Load average "
               f"{part['load_before']:.2f} before, {part['load_after']:.2f} after.")
    if results["namespaces"] != "yes":
        yield ""
        yield f"Without network namespaces: {results['namespaces']}."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, version in results["versions"].items():
        yield f"| {name} | {version} |"
    for name in sorted(key for key in about if key.startswith("net.")):
        yield f"| {name} | {about[name]} |"
    yield ""


def render(results):
    """The Markdown text, and the plots by file name."""
    titles = results["peers"]
    lines = [*heading(results), *figures.table(results["workloads"])]
    drawn = {}
    for key, group in GROUPS.items():
        workloads = [one for one in results["workloads"] if one["group"] == key]
        if not workloads:
            continue
        lines += [f"## {group.title}", "", group.text, ""]
        for name, picture in plots(key, group, workloads, titles):
            drawn[name] = picture
            lines += [f"![{group.title}]({name})", ""]
        if key == "wire":
            lines += matrices(workloads)
            # The rest is in the matrix.
            workloads = [one for one in workloads if len(one["peers"]) > 1]
        for workload in workloads:
            lines += [f"### {workload['title']}", "", *table(group, workload, titles)]
    return "\n".join(lines).rstrip() + "\n", drawn


def write(results, folder):
    text, drawn = render(results)
    for old in folder.glob("*.svg"):
        old.unlink()
    (folder / "results.md").write_text(text, encoding="utf-8")
    for name, picture in drawn.items():
        (folder / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    where = pathlib.Path(sys.argv[1])
    write(json.loads((where / "results.json").read_text(encoding="utf-8")), where)
