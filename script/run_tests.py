"""Runs the tests of a build folder with meson and counts every case.

Meson counts programs; GoogleTest counts cases. This adds up the cases: a GoogleTest program by the
report that it wrote, every other test as one. A program that ran no case, that died, or that failed
without naming a case is a failure of its own. The last line is `N passed, M failed, K skipped`.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


class Tally:
    """Counts, and what is to be said about them."""

    def __init__(self):
        self.passed = 0
        self.failures = []  # (name, text)
        self.skips = []  # (name, reason)

    def fail(self, name, text):
        self.failures.append((name, text))

    def skip(self, name, reason):
        self.skips.append((name, reason))

    @property
    def ran(self):
        return self.passed + len(self.failures) + len(self.skips)

    def line(self):
        return f"{self.passed} passed, {len(self.failures)} failed, {len(self.skips)} skipped"


def introspect_tests(build_dir):
    answer = subprocess.run(
        ["meson", "introspect", "--tests", str(build_dir)],
        check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout)


def report_path(build_dir, test):
    """Where meson tells a GoogleTest program to put its report."""
    return pathlib.Path(test["workdir"] or build_dir) / f"{test['name']}.xml"


def output_of(result):
    parts = [result.get("stdout") or "", result.get("stderr") or ""]
    return "\n".join(part.rstrip() for part in parts if part.strip())


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def skip_reason(element):
    reason = element.get("message") or element.text or ""
    # GoogleTest puts `file:line` before what the test said.
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    if lines and lines[0].rpartition(":")[2].isdigit():
        lines = lines[1:]
    return " ".join(lines)


def count_gtest(tally, name, result, report):
    output = output_of(result)
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        tally.fail(name, f"ended as {result['result']} without a report\n{output}")
        return
    ran = 0
    failures_before = len(tally.failures)
    for case in cases:
        case_name = f"{name}: {case.get('classname')}.{case.get('name')}"
        failures = case.findall("failure")
        skipped = case.find("skipped")
        if failures:
            ran += 1
            texts = [failure.get("message") or failure.text or "" for failure in failures]
            tally.fail(case_name, "\n".join(texts))
        elif case.get("status") == "notrun":
            tally.skip(case_name, "disabled in the source")
        elif skipped is not None or case.get("result") == "skipped":
            ran += 1
            reason = skip_reason(skipped) if skipped is not None else ""
            if reason:
                tally.skip(case_name, reason)
            else:
                tally.fail(case_name, "skipped without a reason")
        else:
            ran += 1
            tally.passed += 1
    if ran == 0:
        tally.fail(name, f"ran no test\n{output}")
    elif result["result"] not in ("OK", "SKIP") and len(tally.failures) == failures_before:
        tally.fail(name, f"ended as {result['result']} though no case failed\n{output}")


def count_plain(tally, name, result):
    output = output_of(result)
    if result["result"] in ("OK", "EXPECTEDFAIL"):
        tally.passed += 1
    elif result["result"] == "SKIP":
        reason = last_line(output)
        if reason:
            tally.skip(name, reason)
        else:
            tally.fail(name, "skipped without a reason")
    else:
        tally.fail(name, f"ended as {result['result']}\n{output}")


def indent(text):
    return "\n".join("    " + line for line in text.splitlines())


def plan(meson_args):
    """The runs of meson. The laboratory's tests mostly wait, so that more of them run side by side."""
    if any(not argument.startswith("-") or "suite" in argument for argument in meson_args):
        return [("testlog", meson_args)]
    side_by_side = str(2 * (os.cpu_count() or 1))
    return [("testlog", meson_args + ["--no-suite", "lab"]),
            ("testlog-lab", meson_args + ["--suite", "lab", "--num-processes", side_by_side])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build_dir", type=pathlib.Path)
    options, meson_args = parser.parse_known_args()
    build_dir = options.build_dir.resolve()
    tests = introspect_tests(build_dir)
    tally = Tally()

    by_name = {}
    for test in tests:
        if test["name"] in by_name:
            tally.fail(test["name"], "two tests have this name, so their reports overwrite each other")
        by_name[test["name"]] = test
        if test["protocol"] == "gtest":
            # The report of an earlier run must not stand in for a program that dies in this one.
            report_path(build_dir, test).unlink(missing_ok=True)

    status = 0
    results = []
    for name, arguments in plan(meson_args):
        log = build_dir / "meson-logs" / f"{name}.json"
        log.unlink(missing_ok=True)
        command = ["meson", "test", "-C", str(build_dir), "--no-rebuild", "--logbase", name]
        status = subprocess.run(command + arguments).returncode or status
        if log.exists():
            with log.open(encoding="utf-8", errors="replace") as lines:
                results += [json.loads(line) for line in lines if line.strip()]
    for result in results:
        # Meson logs a test as `suite / name`, or `project:suite / name`.
        name = result["name"].rpartition(" / ")[2]
        test = by_name.get(name)
        if test is not None and test["protocol"] == "gtest":
            count_gtest(tally, name, result, report_path(build_dir, test))
        else:
            count_plain(tally, name, result)
    if tally.ran == 0:
        tally.fail("meson test", "no test ran")
    elif status != 0 and not tally.failures:
        tally.fail("meson test", f"exit code {status}, though no test failed")

    for name, text in tally.failures:
        print(f"\nFAILED {name}\n{indent(text)}")
    if tally.skips:
        print("\nSkipped:")
        for name, reason in tally.skips:
            print(f"  {name}: {reason}")
    count_file = os.environ.get("P2P_COUNT_FILE")  # .ci/run adds up what several runs count
    if count_file:
        pathlib.Path(count_file).write_text(
            f"{tally.passed} {len(tally.failures)} {len(tally.skips)}\n", encoding="ascii")
    print(f"\n{tally.line()}", flush=True)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
