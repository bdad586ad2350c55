#!/usr/bin/env python3
"""The benchmarks: a private server, the load client, and the bare limit beside both.

`./dev bench [--quick] [--json FILE]` prints a table for people and, if asked, JSON. The server is
pinned to the first processor and the client to the second, and rounds of the product and of the
floor take turns, so that what the machine does meanwhile falls on both. Trust the ratios; the
microseconds belong to one machine and one hour.
"""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIDS_PER_MINUTE = 200  # the largest that the server takes: app/settings.def
STEP = 20000           # between two maxima, as in scenario_bid.c and scenario_watch.c

# What the server would refuse of one address in earnest; here one address is everybody.
LIMITS = {
    "threads": 1, "log-level": "warning", "connections-max": 18000,
    "connections-per-address": 1000000, "connections-per-user": 10000,
    "handshakes-per-second": 1000000, "messages-per-second": 100000, "messages-burst": 100000,
    "bids-per-minute": BIDS_PER_MINUTE, "auth-attempts": 1000000,
    "requests-per-address": 1000000000, "api-requests-per-address": 1000000000, "first-command-ms": 120000,
}

# The figures to reach: name -> (what is measured, most).
TARGETS = {
    "watch_ratio": ("CPU per delivery, times the floor", 1.3),
    "bid_p95_ms": ("verdict p95 in ms", 50),
    "memory_kib": ("KiB per idle connection", 5),
    "ready_s": ("seconds until ready", 1),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pinned(core, command):
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[min(core, len(cores) - 1)]), *command]


class Server:
    """A process on a port of its own; `ready_s` is how long its start took."""

    def __init__(self, command, port, is_up, log):
        self.port = port
        begin = time.monotonic()
        self.process = subprocess.Popen(pinned(0, command), stdout=log, stderr=log)
        while not is_up(port):
            if self.process.poll() is not None or time.monotonic() - begin > 10:
                self.stop()
                sys.exit(f"bench: {command[0]} does not start; see {log.name}")
            time.sleep(0.005)
        self.ready_s = time.monotonic() - begin

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def answers_tcp(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def call(port, path, body, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(),
                                     headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"bench: POST {path}: {error.code} {error.read().decode(errors='replace')}")


class Bench:
    def __init__(self, build, folder):
        self.bin, self.folder = Path(build) / "bin", Path(folder)
        self.accounts = 0
        self.base = {}  # of an auction: the largest maximum so far
        self.log = open(self.folder / "servers.log", "w", encoding="utf-8")
        self.server = self.floor = None

    def start(self):
        port = free_port()
        command = [str(self.bin / "quickbid"), "serve", "--data-dir", str(self.folder / "data"),
                   "--port", str(port)]
        for name, value in LIMITS.items():
            command += [f"--{name}", str(value)]
        self.server = Server(command, port, is_ready, self.log)
        self.seller = self.account()

    def start_floor(self, size):
        port = free_port()
        self.floor = Server([str(self.bin / "qb_floor"), str(port), str(size)], port, answers_tcp,
                            self.log)

    def stop(self):
        for server in (self.server, self.floor):
            if server:
                server.stop()

    def account(self):
        self.accounts += 1
        body = {"email": f"b{self.accounts}@bench.example", "password": "correct horse battery",
                "name": f"Bench {self.accounts}", "mode": "token"}
        return call(self.server.port, "/api/users", body)["token"]

    def auction(self):
        body = {"title": "A lot to measure", "description": "Sold to nobody.", "category": "other",
                "currency": "USD", "start_price": 100, "duration_ms": 3600000}
        auction = call(self.server.port, "/api/auctions", body, self.seller)["auction"]["id"]
        self.base[auction] = 100
        return auction

    def listed(self, name, words):
        path = self.folder / name
        path.write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
        return str(path)

    def load(self, server, scenario, **options):
        command = [str(self.bin / "qb_load"), scenario, "--port", str(server.port),
                   "--pid", str(server.process.pid)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        done = subprocess.run(pinned(1, command), capture_output=True, text=True, timeout=120)
        sys.stderr.write(done.stderr)
        if done.returncode != 0 or not done.stdout:
            sys.exit(f"bench: {scenario} failed")
        return json.loads(done.stdout)

    def watch(self, server, auction, tokens, **options):
        """The maxima of one auction only rise, from round to round too."""
        result = self.load(server, "watch", tokens=self.listed("tokens", tokens),
                           auctions=self.listed("auctions", [auction]),
                           base=self.base[auction], **options)
        self.base[auction] += (result["bids"] + 1) * STEP
        return result


def median(rounds, name):
    return statistics.median(r[name] for r in rounds)


def medians(rounds):
    return {name: median(rounds, name) for name, value in rounds[0].items()
            if isinstance(value, (int, float))}


def beside_floor(ours, floors, name):
    """Ours and the floor's medians and the median of the ratios of rounds that stood together."""
    ratio = statistics.median(o[name] / f[name] for o, f in zip(ours, floors))
    return {"ours": medians(ours), "floor": medians(floors), "ratio": round(ratio, 3)}


def run_watch(bench, counts, rounds, seconds):
    """Each watched auction is new, so that its price starts low; four bidders share the limit."""
    result = {}
    for count in counts:
        auction = bench.auction()
        if bench.floor is None:
            size = bench.watch(bench.server, auction, [bench.account(), bench.account()],
                               connections=100, seconds=0.3, rate=50)["bytes"]
            bench.start_floor(round(size))
        ours, floors = [], []
        for _ in range(rounds):
            tokens = [bench.account() for _ in range(4)]
            floors.append(bench.watch(bench.floor, auction, tokens, connections=count,
                                      seconds=seconds))
            ours.append(bench.watch(bench.server, auction, tokens, connections=count,
                                    seconds=seconds))
        tokens = [bench.account() for _ in range(2)]
        options = {"connections": count, "seconds": seconds, "rate": 10}
        paced = [bench.watch(server, auction, tokens, **options)
                 for server in (bench.floor, bench.server)]
        result[count] = beside_floor(ours, floors, "cpu_us_per_delivery")
        result[count]["at_10_a_second"] = {"floor": paced[0], "ours": paced[1]}
    return result


def run_bids(bench, rates, rounds, seconds):
    result = {}
    for rate in rates:
        runs = []
        for _ in range(rounds):
            tokens = [bench.account() for _ in range(-(-int(rate * seconds) // BIDS_PER_MINUTE))]
            auctions = [bench.auction() for _ in range(50)]
            runs.append(bench.load(bench.server, "bid", rate=rate, seconds=seconds, base=100,
                                   tokens=bench.listed("tokens", tokens),
                                   auctions=bench.listed("auctions", auctions)))
        result[rate] = medians(runs)
        result[rate]["lost"] = sum(r["sent"] - r["answered"] for r in runs)
        result[rate]["refused"] = sum(r["answered"] - r["accepted"] for r in runs)
    return result


def run_connections(bench, count, rounds):
    """Memory is a matter of the first time: later rounds find freed memory to reuse."""
    ours, floors = [], []
    for _ in range(rounds):
        floors.append(bench.load(bench.floor, "connections", connections=count))
        ours.append(bench.load(bench.server, "connections", connections=count))
    stages = []
    for i, stage in enumerate(ours[0]["stages"]):
        row = {"connections": stage["connections"]}
        for name in ("cpu_us_per_handshake", "cpu_us_per_message", "handshakes_per_s"):
            row[name] = statistics.median(r["stages"][i][name] for r in ours)
            row["floor_" + name] = statistics.median(r["stages"][i][name] for r in floors)
        stages.append(row)
    return {"bytes_per_connection": ours[0]["bytes_per_connection"],
            "floor_bytes_per_connection": floors[0]["bytes_per_connection"], "stages": stages}


def run_http(bench, rounds, seconds):
    path = f"/api/auctions/{bench.auction()}/state"
    ours, floors = [], []
    for _ in range(rounds):
        floors.append(bench.load(bench.floor, "http", connections=50, seconds=seconds, path=path))
        ours.append(bench.load(bench.server, "http", connections=50, seconds=seconds, path=path))
    return beside_floor(ours, floors, "cpu_us_per_request")


def line(what, figure, unit, floor="", ratio="", verdict=""):
    print(f"{what:<46}{figure:>12}  {unit:<10}{floor:>10}{ratio:>9}  {verdict}")


def met(value, most):
    return f"{'met' if value <= most else 'MISSED'} (at most {most})"


def print_watch(report):
    for count, row in report["watch"].items():
        ours, floor = row["ours"], row["floor"]
        verdict = met(row["ratio"], TARGETS["watch_ratio"][1]) if count == 5000 else ""
        line(f"{count} watchers: CPU per delivery", f"{ours['cpu_us_per_delivery']:.2f}", "us",
             f"{floor['cpu_us_per_delivery']:.2f}", f"{row['ratio']:.2f} x", verdict)
        line(f"{count} watchers: deliveries", f"{ours['deliveries_per_s']:.0f}", "/s",
             f"{floor['deliveries_per_s']:.0f}")
        paced = row["at_10_a_second"]
        for part in ("p50_ms", "p99_ms"):
            line(f"{count} watchers, 10 bids/s: bid to update {part[:3]}",
                 f"{paced['ours'][part]:.1f}", "ms", f"{paced['floor'][part]:.1f}")


def print_report(report):
    line("", "QuickBid", "", "floor", "ratio")
    line("start until ready", f"{report['ready_s']:.3f}", "s",
         verdict=met(report["ready_s"], TARGETS["ready_s"][1]))
    connections = report["connections"]
    kib = connections["bytes_per_connection"] / 1024
    line("memory per idle connection", f"{kib:.2f}", "KiB",
         f"{connections['floor_bytes_per_connection'] / 1024:.2f}",
         verdict=met(kib, TARGETS["memory_kib"][1]))
    for stage in connections["stages"]:
        for name, what in (("cpu_us_per_handshake", "CPU per handshake"),
                           ("cpu_us_per_message", "CPU per ping")):
            ratio = stage[name] / stage["floor_" + name]
            line(f"{stage['connections']} connections: {what}", f"{stage[name]:.1f}", "us",
                 f"{stage['floor_' + name]:.1f}", f"{ratio:.2f} x")
    print_watch(report)
    for rate, row in report["bids"].items():
        verdict = met(row["p95_ms"], TARGETS["bid_p95_ms"][1]) if rate == 2000 else ""
        what = f"{rate} durable bids/s"
        line(f"{what}: verdict p50", f"{row['p50_ms']:.2f}", "ms")
        line(f"{what}: verdict p95", f"{row['p95_ms']:.2f}", "ms", verdict=verdict)
        line(f"{what}: verdict p99", f"{row['p99_ms']:.2f}", "ms")
        line(f"{what}: CPU per bid", f"{row['cpu_us_per_bid']:.1f}", "us",
             verdict=f"{row['refused']} refused, {row['lost']} without answer")
    http = report["http"]
    rate = http["ours"]["requests_per_s"]
    line("GET .../state", f"{rate:.0f}", "/s", f"{http['floor']['requests_per_s']:.0f}",
         f"{http['ratio']:.2f} x", f"{'met' if rate >= 10000 else 'MISSED'} (at least 10000)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="within a minute, less exact")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--build", default=ROOT / "build/release", help="where the programs are")
    options = parser.parse_args()
    quick = options.quick
    with tempfile.TemporaryDirectory(prefix="quickbid-bench-") as folder:
        bench = Bench(options.build, folder)
        try:
            bench.start()
            report = {"ready_s": round(bench.server.ready_s, 3), "quick": quick}
            rounds, seconds = (2, 1) if quick else (3, 2)
            # First, while the server is fresh: memory once freed is taken again without growing.
            bench.start_floor(400)
            report["connections"] = run_connections(bench, 5000 if quick else 10000,
                                                    1 if quick else 2)
            bench.floor.stop()
            bench.floor = None
            report["watch"] = run_watch(bench, [5000] if quick else [1000, 5000], rounds, seconds)
            report["http"] = run_http(bench, rounds, seconds)
            report["bids"] = run_bids(bench, [2000] if quick else [200, 2000], 2,
                                      2 if quick else 4)
        finally:
            bench.stop()
    print_report(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
