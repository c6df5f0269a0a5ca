"""The story that `run` shows: builds the hosts, strikes the one that serves, and checks what is left.

Every message of every client must have had its effect once and in order, and every answer must have
arrived once and in order (the clients look at that themselves). The last line is the summary."""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
VIRTUAL_ADDRESS = "192.0.2.100"
ADDRESSES = {"store": "192.0.2.10", "a": "192.0.2.11", "b": "192.0.2.12", "clients": "192.0.2.21"}
SECRET = "p2p-7m2sxk4qhw5nqzv3atb6rcyd2ejfgpuo"
START_WITHIN_S = 30
# How many effects the client has that has the fewest.
LEAST_SCRIPT = """
local least = redis.call('LLEN', 'effects:client-0')
for number = 1, ARGV[1] - 1 do
  least = math.min(least, redis.call('LLEN', 'effects:client-' .. number))
end
return least
"""


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def now_ms():
    return time.time() * 1000


def wait_for(what, condition, within_s=START_WITHIN_S):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise Failed(f"{what}: not after {within_s} s")


class Lab:
    """The switch, and the hosts on it."""

    def __init__(self, prefix, folder):
        self.prefix = prefix
        self.folder = folder
        self.processes = []
        self.ip("netns", "add", self.name("switch"))
        self.inside("switch", "ip", "link", "add", "br0", "type", "bridge")
        self.inside("switch", "ip", "link", "set", "br0", "up")
        for host, address in ADDRESSES.items():
            self.ip("netns", "add", self.name(host))
            self.inside("switch", "ip", "link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0",
                        "netns", self.name(host))
            self.inside("switch", "ip", "link", "set", f"to-{host}", "master", "br0", "up")
            self.inside(host, "ip", "link", "set", "lo", "up")
            self.inside(host, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
            self.inside(host, "ip", "link", "set", "eth0", "up")

    def name(self, host):
        return f"{self.prefix}-{host}"

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    def inside(self, host, *words, **options):
        return subprocess.run(["ip", "netns", "exec", self.name(host), *map(str, words)],
                              check=True, **options)

    def start(self, host, log, *words):
        with (self.folder / f"{log}.log").open("ab") as output:
            process = subprocess.Popen(["ip", "netns", "exec", self.name(host), *map(str, words)],
                                       stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def log(self, name):
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self, host):
        listed = subprocess.run(["ip", "netns", "pids", self.name(host)], check=True, text=True,
                                stdout=subprocess.PIPE)
        return [int(word) for word in listed.stdout.split()]

    def end(self):
        for host in ADDRESSES:
            for pid in self.pids(host):
                kill(pid)
        for process in self.processes:
            process.wait()


def kill(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


class Host:
    """One of the two that may serve."""

    def __init__(self, lab, name, programs, server):
        self.lab = lab
        self.name = name
        self.state = lab.folder / f"state-{name}"
        self.state.mkdir()
        self.settings = self.state / "settings"
        server = [server, f"--address={VIRTUAL_ADDRESS}",
                  f"--redis-host={ADDRESSES['store']}", f"--secret={SECRET}",
                  f"--rendezvous=ws://{ADDRESSES['store']}:7480",
                  f"--identity={lab.folder / 'identity.pem'}"]
        words = " ".join(f"'{word}'" for word in server)
        self.settings.write_text(f"state={self.state}\nredis_host={ADDRESSES['store']}\n"
                                 f"redis_port=6379\nserver=({words})\n"
                                 f"exec >>{lab.folder}/server-{name}.log 2>&1\n")
        text = (HERE / "keepalived.conf.in").read_text()
        for word, value in {"INTERFACE": "eth0", "VIRTUAL_ADDRESS": f"{VIRTUAL_ADDRESS}/24",
                            "PROGRAMS": programs, "SETTINGS": self.settings,
                            "STATE": self.state}.items():
            text = text.replace(f"@{word}@", str(value))
        self.configuration = self.state / "keepalived.conf"
        self.configuration.write_text(text)
        self.started = 0

    def start(self):
        files = {"--pid": "parent", "--vrrp_pid": "vrrp"}
        self.started = len(self.log())
        return self.lab.start(self.name, f"keepalived-{self.name}", "keepalived", "--vrrp",
                              "--dont-fork", "--log-console", "--log-detail", "--no-syslog",
                              f"--use-file={self.configuration}",
                              *(f"{option}={self.state / file}.pid" for option, file in files.items()))

    def log(self):
        return self.lab.log(f"server-{self.name}")

    def events(self, what, after_ms=0):
        """When the server here said so."""
        return [at for at, who, said in lines(self.log()) if who == "server" and said.startswith(what)
                and at >= after_ms]

    def fenced(self):
        file = self.state / "fenced"
        return file.exists() and file.read_text().strip() == "1"

    def serving(self):
        return [pid for pid in self.lab.pids(self.name)
                if "p2p-failover-server" in command_of(pid).split("\0")[0]]


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def lines(text):
    for line in text.splitlines():
        match = re.match(r"(\d+) (\S+) (.*)", line)
        if match:
            yield int(match[1]), match[2], match[3]


class Story:
    def __init__(self, options):
        self.options = options
        self.folder = options.folder
        self.lab = Lab(options.lab, options.folder)
        # keepalived runs only what root alone may write.
        programs = self.folder / "programs"
        programs.mkdir(mode=0o755)
        shutil.copy(HERE / "notify", programs)
        for file in (programs, *programs.iterdir()):
            os.chown(file, 0, 0)
            file.chmod(0o755)
        self.built = options.build_dir / "examples/failover"
        self.a = Host(self.lab, "a", programs, self.built / "p2p-failover-server")
        self.b = Host(self.lab, "b", programs, self.built / "p2p-failover-server")
        self.times = []

    def redis(self, *words):
        return self.lab.inside("store", "redis-cli", *words, stdout=subprocess.PIPE,
                               text=True).stdout.strip()

    def begin(self):
        data = self.folder / "redis"
        data.mkdir()
        configuration = (HERE / "redis.conf").read_text().replace("/var/lib/redis", str(data))
        (self.folder / "redis.conf").write_text(configuration)
        self.lab.start("store", "redis", "redis-server", self.folder / "redis.conf")
        self.lab.start("store", "rendezvous", self.options.rendezvous, "--listen", "0.0.0.0:7480")
        wait_for("redis-server", lambda: "Ready to accept" in self.lab.log("redis"))
        wait_for("p2p-rendezvous", lambda: "://" in self.lab.log("rendezvous"))
        keepalived = self.a.start()
        wait_for("keepalived on host a", lambda: keepalived.poll() is not None or
                 "MASTER" in self.lab.log("keepalived-a"))
        if keepalived.poll() is not None:
            raise Skipped("keepalived cannot run here: " +
                          self.lab.log("keepalived-a").strip().splitlines()[-1])
        wait_for("the server on host a", lambda: self.a.events("started"))
        self.start_standby(self.b)
        options = self.options
        self.clients = self.lab.start(
            "clients", "clients", self.built / "p2p-failover-client",
            f"--clients={options.clients}", f"--messages={options.messages}",
            f"--interval-ms={options.interval_ms}", f"--secret={SECRET}",
            f"--rendezvous=ws://{ADDRESSES['store']}:7480", f"--store={self.folder / 'clients.db'}")
        wait_for("all clients are served", lambda: self.least_done() > 0, 60)
        time.sleep(options.before_s)

    def start_standby(self, host):
        before = len(self.lab.log(f"keepalived-{host.name}"))
        host.start()
        wait_for(f"host {host.name} stands by",
                 lambda: "BACKUP STATE" in self.lab.log(f"keepalived-{host.name}")[before:])

    def least_done(self):
        return int(self.redis("EVAL", LEAST_SCRIPT, "0", str(self.options.clients)))

    # ---------------------------------------------------------------- strikes

    def kill_host(self, host):
        """Also what would still be said on its behalf: the cable goes first."""
        at = now_ms()
        self.lab.inside("switch", "ip", "link", "set", f"to-{host.name}", "nomaster")
        for pid in self.lab.pids(host.name):
            kill(pid)
        self.lab.inside(host.name, "ip", "addr", "flush", "dev", "eth0")
        return at

    def revive(self, host):
        # As a boot finds it: /run is empty.
        for file in host.state.glob("*.pid"):
            file.unlink()
        self.lab.inside(host.name, "ip", "addr", "add", f"{ADDRESSES[host.name]}/24", "dev", "eth0")
        self.lab.inside("switch", "ip", "link", "set", f"to-{host.name}", "master", "br0")
        self.start_standby(host)

    def death(self):
        self.taken_over(self.kill_host(self.a), self.b)

    def twice(self):
        self.death()
        self.revive(self.a)
        self.taken_over(self.kill_host(self.b), self.a)

    def partition(self):
        at = now_ms()
        self.lab.inside("switch", "ip", "link", "set", "to-a", "nomaster")
        self.taken_over(at, self.b)
        if not self.a.serving():
            raise Failed("the server of the host that was cut off has ended before anything told it")
        healed = now_ms()
        self.lab.inside("switch", "ip", "link", "set", "to-a", "master", "br0")
        wait_for("the old server stops", lambda: not self.a.serving(), 10)
        self.note(stopped_after_heal_ms=now_ms() - healed, fenced=self.a.fenced())
        if not self.b.serving():
            raise Failed("the new server has stopped as well")

    def split(self):
        at = now_ms()
        self.lab.inside("a", "nft", "-f", "-", input="""
            table ip split {
              chain input { type filter hook input priority 0; ip protocol 112 drop; }
              chain output { type filter hook output priority 0; ip protocol 112 drop; }
            }""", text=True)
        self.taken_over(at, self.b)
        wait_for("the old server is fenced", self.a.fenced, 10)
        begun = self.b.events("started", at)[0]
        told = self.a.events("warning", at)
        self.note(fenced_after_takeover_ms=told[0] - begun if told else None)
        wait_for("host a gives the address up",
                 lambda: VIRTUAL_ADDRESS not in self.lab.inside(
                     "a", "ip", "addr", stdout=subprocess.PIPE, text=True).stdout, 10)

    # ---------------------------------------------------------------- what is left

    def client_lines(self):
        return list(lines(self.lab.log("clients")))

    def restored(self, after_ms):
        """When each client was so first, since then."""
        times = {}
        for at, who, said in self.client_lines():
            if at >= after_ms and said.startswith("connected"):
                times.setdefault(who, at)
        return times

    def taken_over(self, at, host):
        def look():
            if self.clients.poll() is not None:
                raise Failed("the clients ended before they were taken over")
            return len(self.restored(at)) == self.options.clients
        wait_for(f"host {host.name} takes over", look)
        all_after = max(self.restored(at).values()) - at
        begins = host.events("begins", at)[0] - at
        self.note(server_begins_ms=begins, all_restored_ms=all_after)
        if all_after > self.options.limit_ms:
            raise Failed(f"all sessions were restored after {all_after:.0f} ms, and not "
                         f"{self.options.limit_ms}")

    def note(self, **figures):
        rounded = {key: round(value) if isinstance(value, float) else value
                   for key, value in figures.items()}
        self.times.append(rounded)
        print(f"{self.options.strike}: {json.dumps(rounded)}", flush=True)

    def finish(self):
        code = self.clients.wait(timeout=120)
        failed = [said for _, _, said in self.client_lines()
                  if said.startswith(("FAILED", "removed"))]
        if code != 0 or failed:
            raise Failed(f"the clients ended with {code}: {failed[:3]}")
        for number in range(self.options.clients):
            effects = self.redis("LRANGE", f"effects:client-{number}", "0", "-1").splitlines()
            wanted = [f"client-{number}:{message};" for message in range(self.options.messages)]
            if len(effects) != len(wanted) or not all(
                    effect.startswith(want) for effect, want in zip(effects, wanted)):
                raise Failed(f"client-{number} has {len(effects)} effects, which are not those of "
                             f"its {len(wanted)} messages once and in order")
        print(f"{self.options.strike}: {self.options.clients} clients, "
              f"{self.options.messages} messages and as many answers of each: none lost, none twice")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--lab", required=True)
    parser.add_argument("--build-dir", type=pathlib.Path, required=True)
    parser.add_argument("--strike", default="death",
                        choices=["death", "partition", "split", "twice"])
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--interval-ms", type=int, default=20)
    parser.add_argument("--before-s", type=float, default=1, help="served before the strike")
    parser.add_argument("--limit-ms", type=int, default=3000, help="until all are restored")
    parser.add_argument("--keep", help="a folder for the logs")
    options = parser.parse_args()
    options.build_dir = options.build_dir.resolve()
    options.rendezvous = options.build_dir / "tools/p2p-rendezvous"
    story = Story(options)
    code = 0
    try:
        story.begin()
        getattr(story, options.strike)()
        story.finish()
    except Skipped as reason:
        print(f"skip: {reason}")
        code = 77
    except (Failed, subprocess.SubprocessError) as reason:
        print(f"FAIL: {reason}", file=sys.stderr)
        for name in ("clients", "server-a", "server-b", "keepalived-a", "keepalived-b"):
            print(f"--- {name}", *story.lab.log(name).splitlines()[-15:], sep="\n", file=sys.stderr)
        code = 1
    finally:
        story.lab.end()
        if options.keep:
            pathlib.Path(options.keep).mkdir(parents=True, exist_ok=True)
            for log in options.folder.glob("*.log"):
                shutil.copy(log, options.keep)
    return code


if __name__ == "__main__":
    sys.exit(main())
