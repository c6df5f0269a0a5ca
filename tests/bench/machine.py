"""The machine and the versions that a result belongs to."""

import os
import pathlib
import platform
import shutil
import subprocess

PACKAGES = ("gstreamer1.0-plugins-bad", "libsrt1.5-gnutls", "libnice10", "libngtcp2-9",
            "libgnutls30", "golang-github-pion-webrtc.v3-dev",
            "libglib2.0-0", "ngtcp2-client", "ngtcp2-server", "iperf3", "coturn")
SETTINGS = ("net.core.rmem_max", "net.core.wmem_max", "net.ipv4.tcp_available_congestion_control")


def describe():
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGESIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "kernel": platform.release(),
        "system": system_name(),
        **{name: setting(name) for name in SETTINGS},
    }


def cpu_name():
    for line in read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def system_name():
    for line in read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def setting(name):
    return read("/proc/sys/" + name.replace(".", "/")).strip() or "not there"


def versions(build):
    """Of everything that was compared: Debian's, and of this tree its commit."""
    found = {"gst-p2p": commit(), "build type": build_type(build)}
    for package in PACKAGES:
        version = output("dpkg-query", "-W", "-f", "${Version}", package)
        found[package] = version or "not installed"
    return found


def commit():
    root = pathlib.Path(__file__).resolve().parents[2]
    return output("git", "-c", f"safe.directory={root}", "-C", str(root), "describe", "--always",
                  "--dirty") or "unknown"


def build_type(build):
    options = output("meson", "introspect", "--buildoptions", str(build))
    if not options:
        return "unknown"
    import json
    values = {option["name"]: option["value"] for option in json.loads(options)}
    return f"{values['buildtype']}, b_sanitize={values['b_sanitize']}"


def output(*argv):
    if shutil.which(argv[0]) is None:
        return ""
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
