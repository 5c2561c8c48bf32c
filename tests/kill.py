#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments under load, many times.

A loader admits facts, one cell each, and says for each when it is durable. It is killed; what it had
said stays true: after the restart no durable fact is missing. What it had not said is sent again,
with the same idempotency keys: no fact counts twice, whether it had become durable or not.

    tests/kill.py [SEED]
"""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

CAIRN = os.environ.get("CAIRN_BINARY", "build/cairn")
KILLS = 10 if os.environ.get("CAIRN_SANITIZE") else 100
KILLS_OF_A_FOLDER = 20  # then a fresh one, so that reading all cells stays short
MEDIAN_LEAST = 1000
LINES_AT_A_TIME = 500
CELL = re.compile(rb'"key": "k-([0-9]+)", "value": "(-?[0-9]+)"')


class Failure(Exception):
    pass


def run(*arguments):
    done = subprocess.run([CAIRN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        raise Failure(f"cairn {' '.join(arguments)}: exit code {done.returncode}: {done.stderr!r}")
    return done.stdout


class Folder:
    """A data folder, and what must be in it: facts 0 .. acknowledged - 1, each once."""

    def __init__(self, path):
        self.path = path
        self.acknowledged = 0
        self.sent = 0  # facts that may be there
        run("init", "--data", path)
        run("space", "declare", "--data", path, "kills", "--type", "gcounter")

    def check(self):
        output = run("fact", "read", "--data", self.path, "--space", "kills", "--json")
        seen = bytearray(self.sent)
        for number, value in CELL.findall(output):
            if int(number) >= self.sent:
                raise Failure(f"fact {number.decode()} was never sent")
            if value != b"1":
                raise Failure(f"fact {number.decode()} counts {value.decode()} times")
            seen[int(number)] = 1
        missing = seen.find(0, 0, self.acknowledged)
        if missing >= 0:
            raise Failure(f"fact {missing} of {self.acknowledged} durable ones is missing")
        return sum(seen)


def lines(first, count):
    return b"".join(b"kills\tk-%d\t1\t%032x\n" % (i, i) for i in range(first, first + count))


def feed(process, folder, first):
    """Sends facts from `first` on, as fast as they are taken, until the loader is gone."""
    try:
        while True:
            text = lines(first, LINES_AT_A_TIME)
            first += LINES_AT_A_TIME
            folder.sent = max(folder.sent, first)
            process.stdin.write(text)
    except (BrokenPipeError, ValueError):
        pass


def load_and_kill(folder, chance):
    """One life of a loader. Returns how many facts it acknowledged."""
    first = folder.acknowledged
    process = subprocess.Popen([CAIRN, "fact", "load", "--data", folder.path, "--acknowledge",
                                "--quiet", "-"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, bufsize=0)
    feeder = threading.Thread(target=feed, args=(process, folder, first))
    feeder.start()
    output = bytearray()
    try:
        if chance.random() < 0.1:  # in the middle of the recovery, perhaps
            time.sleep(chance.random() * 0.05)
        else:
            wanted = chance.randrange(200, 8000)
            while output.count(b"\n") < wanted:
                piece = process.stdout.read(65536)
                if not piece:
                    break
                output += piece
            time.sleep(chance.random() * 0.003)
        process.send_signal(signal.SIGKILL)
        while piece := process.stdout.read(1 << 20):
            output += piece
        errors = process.stderr.read()
        if process.wait() != -signal.SIGKILL or errors:
            raise Failure(f"the loader ended with {process.returncode}: {errors!r}")
    finally:
        process.kill()
        process.wait()
        feeder.join()
        process.stdout.close()
        process.stderr.close()
    # A number that was cut off by the kill was not said.
    said = output[:output.rfind(b"\n") + 1].split()
    if said != [b"%d" % i for i in range(1, len(said) + 1)]:
        raise Failure("the acknowledgements are not the numbers of the lines in order")
    folder.acknowledged = first + len(said)
    return len(said)


def finish(folder):
    """Sends what was not acknowledged once more, to the end."""
    rest = lines(folder.acknowledged, folder.sent - folder.acknowledged)
    done = subprocess.run([CAIRN, "fact", "load", "--data", folder.path, "--quiet", "-"], input=rest,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Failure(f"the last loader: exit code {done.returncode}: {done.stderr!r}")
    folder.acknowledged = folder.sent
    folder.check()


def main(arguments):
    seed = int(arguments[0]) if arguments else random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    counts = []
    kept = 0  # durable, but not acknowledged before the kill
    folder = None
    try:
        with tempfile.TemporaryDirectory() as root:
            for kill in range(KILLS):
                if kill % KILLS_OF_A_FOLDER == 0:
                    if folder:
                        finish(folder)
                    folder = Folder(os.path.join(root, f"folder-{kill}"))
                counts.append(load_and_kill(folder, chance))
                kept += folder.check() - folder.acknowledged
            finish(folder)
    except Failure as failure:
        print(f"seed {seed}, kill {len(counts) + 1}: {failure}")
        return 1
    median = sorted(counts)[len(counts) // 2]
    print(f"seed {seed}: {KILLS} kills, {sum(counts)} facts acknowledged, median {median}; none is "
          f"missing, none counts twice; {kept} more had become durable")
    if median < MEDIAN_LEAST:
        print(f"the median of acknowledgements is below {MEDIAN_LEAST}: this was no load")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
