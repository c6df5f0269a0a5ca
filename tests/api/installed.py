"""What a user of the installed project gets: headers, library and plugin, from a staged install.

Usage: installed.py BUILD_DIR consumer CONSUMER.C
       installed.py BUILD_DIR plugin
"""

import glob
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

API = "p2pagent-1.0"
ELEMENT_PROPERTIES = [
    "uri", "id", "peer", "channel", "rendezvous", "secret", "peer-fingerprint", "identity",
    "stun-server", "turn-server", "turn-standby", "ice-transport-policy", "data-path", "agent", "connection-state", "stats",
    "max-queue-bytes", "ping-interval", "ping-timeout", "peer-comeback-timeout", "idle-timeout",
]
SINK_PROPERTIES = ["wait-for-connection", "reliable", "ordered", "max-packet-lifetime",
                   "drain-timeout"]
SOURCE_PROPERTIES = ["caps", "keep-listening"]


class Broken(Exception):
    """The installed project does not do what it should."""


def run(*command, env=None, answer=False):
    result = subprocess.run([str(word) for word in command], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise Broken(f"{shlex.join(str(word) for word in command)}\n"
                     f"exit code {result.returncode}\n{result.stdout}")
    return result.stdout if answer else None


class Stage:
    """A staged install below `top`, with pkg-config files that name it."""

    def __init__(self, build_dir, top):
        self.top = pathlib.Path(top)
        run("meson", "install", "-C", build_dir, "--no-rebuild", "--quiet", "--destdir", self.top)
        self.pc_dir = self.top / "pc"
        self.pc_dir.mkdir()
        pc_file = self.only(f"**/{API}.pc")
        text = pc_file.read_text(encoding="utf-8")
        prefix = re.search(r"^prefix=(.*)$", text, re.MULTILINE).group(1)
        staged = f"prefix={self.top}{prefix}"
        text = re.sub(r"^prefix=.*$", lambda _: staged, text, flags=re.MULTILINE)
        (self.pc_dir / pc_file.name).write_text(text, encoding="utf-8")
        self.library_dir = self.only(f"**/lib{API}.so").parent
        self.env = dict(os.environ)
        self.prepend("PKG_CONFIG_PATH", self.pc_dir)
        self.prepend("LD_LIBRARY_PATH", self.library_dir)

    def prepend(self, name, value):
        old = self.env.get(name)
        self.env[name] = f"{value}:{old}" if old else str(value)

    def only(self, pattern):
        found = glob.glob(str(self.top / pattern), recursive=True)
        if len(found) != 1:
            raise Broken(f"the install has {len(found)} files like {pattern}, not 1")
        return pathlib.Path(found[0])

    def flags(self, *options):
        return shlex.split(run("pkg-config", *options, API, env=self.env, answer=True))


def compilers():
    cc = shlex.split(os.environ.get("CC", "cc"))
    cxx = shlex.split(os.environ.get("CXX", "c++"))
    return cc, cxx


def check_consumer(stage, source):
    cc, cxx = compilers()
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    cflags = stage.flags("--cflags")
    include_dir = stage.only("**/include/**/p2p/p2p.h").parent
    headers = sorted(include_dir.glob("*.h"))
    if len(headers) < 5:
        raise Broken(f"only {len(headers)} headers are installed in {include_dir}")
    for header in headers:
        alone = stage.top / "alone.h.c"
        alone.write_text(f"#include <p2p/{header.name}>\ntypedef int not_empty;\n", encoding="ascii")
        for standard, compiler, language in (
                ("c99", cc, "c"), ("c11", cc, "c"), ("c++17", cxx, "c++"), ("c++20", cxx, "c++")):
            run(*compiler, f"-std={standard}", "-x", language, *strict, "-fsyntax-only", *cflags, alone)
    print(f"{len(headers)} installed headers compile alone as C99, C11, C++17 and C++20")

    program = stage.top / "consumer"
    run(*cc, "-std=c99", *strict, *cflags, source, "-o", program, *stage.flags("--libs"))
    print(run(program, env=stage.env, answer=True).strip())


def check_plugin(stage):
    plugin = stage.only("**/gstreamer-1.0/libgstp2p.so")
    stage.env["GST_PLUGIN_PATH"] = str(plugin.parent)
    stage.env["GST_REGISTRY"] = str(stage.top / "registry.bin")
    about = run("gst-inspect-1.0", "p2p", env=stage.env, answer=True)
    if str(plugin) not in about:
        raise Broken(f"gst-inspect-1.0 found another plugin than {plugin}:\n{about}")
    for element, own in (("p2psrc", SOURCE_PROPERTIES), ("p2psink", SINK_PROPERTIES)):
        about = run("gst-inspect-1.0", element, env=stage.env, answer=True)
        names = set(re.findall(r"^  ([a-z][a-z0-9-]*) *: ", about, re.MULTILINE))
        missing = [name for name in ELEMENT_PROPERTIES + own if name not in names]
        if missing:
            raise Broken(f"{element} lacks the properties {', '.join(missing)}")
        for line in ("Klass", "Author", "Description", "p2p"):
            if line not in about:
                raise Broken(f"gst-inspect-1.0 {element} does not say {line}:\n{about}")
    print(f"{plugin.name} is found, and its elements have all of their properties")


def main(build_dir, what, *arguments):
    top = tempfile.mkdtemp(prefix="p2p-install-")
    try:
        stage = Stage(build_dir, top)
        if what == "consumer":
            check_consumer(stage, *arguments)
        else:
            check_plugin(stage)
    except Broken as problem:
        print(problem)
        return 1
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
