"""Two flows of one peer over the same wire."""

import threading

from errors import Failed
from peers.base import Setting
from summary import jain


def run_both(peer, setting, seconds):
    results, problems = [], []

    def run(serial):
        own = Setting(setting.build, setting.folder, setting.programs, setting.near, setting.far,
                      serial)
        try:
            results.append(peer.bulk(own, 65536, seconds))
        except Failed as problem:
            problems.append(problem)

    # Serials of runs count up; this one is far from all of them.
    threads = [threading.Thread(target=run, args=(serial,))
               for serial in (setting.serial, setting.serial + 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return shares(results)


def shares(results):
    """Rates in the second half, when both have found theirs."""
    rates = [result["late_mbit"] for result in results]
    return {"jain": jain(rates), "mbit": sum(rates), "less_mbit": min(rates)}
