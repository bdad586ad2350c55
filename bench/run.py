#!/usr/bin/env python3
"""The benchmarks: the built server on a private data folder, the load client on the other
processor, the bare limit of the machine (bench/floor.c) in the same run, in alternating rounds.

bench/run.py [--quick] [--json FILE] [--build DIR]
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIDDERS = 120  # accounts: 2,000 bids a second for 10 s at 200 a minute each
AUCTIONS = 60
FRAME_BYTES = 330  # payload of an update of these auctions, for the floor


def pinned(core, command, **options):
    """The command on one processor, where there are two."""
    if os.cpu_count() and os.cpu_count() > 1:
        command = ["taskset", "-c", str(core)] + command
    return subprocess.Popen(command, **options)


class Server:
    def __init__(self, binary, folder, **settings):
        self.settings = {
            "port": "0", "threads": "1", "connections_per_address": "100000",
            "handshakes_per_second": "100000", "connections_max": "18000",
            "bids_per_minute": "200", "messages_per_second": "100000", "messages_burst": "100000",
            "auth_attempts": "100000", "password_jobs_max": "1000", "connections_per_user": "1000",
            "first_command_ms": "120000", "ping_ms": "600000", "log_lines_per_second": "0",
        } | settings
        command = [binary, "serve", "--data-dir", folder]
        for name, value in self.settings.items():
            command += [f"--{name.replace('_', '-')}", value]
        began = time.monotonic()
        self.log = tempfile.TemporaryFile("w+")
        self.process = pinned(0, command, stderr=self.log)
        self.port = self.wait_ready()
        self.ready_s = time.monotonic() - began

    def wait_ready(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.log.seek(0)
            for line in self.log.read().splitlines():
                if '"server.ready"' in line:
                    return json.loads(line)["port"]
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        self.log.seek(0)
        sys.exit("bench: the server did not start:\n" + self.log.read())

    def ask(self, method, path, body=None, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"bench: {method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else {}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def fill(server, path, bidders):
    """Accounts and auctions; their tokens and ids into a file for the load client."""
    def sign_up(i):
        return server.ask("POST", "/api/users", {
            "email": f"bidder-{i}@bench.invalid", "password": "a password for benchmarks",
            "name": f"Bidder {i}", "mode": "token"})["token"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(sign_up, range(bidders)))
    seller = server.ask("POST", "/api/users", {
        "email": "seller@bench.invalid", "password": "a password for benchmarks",
        "name": "Seller", "mode": "token"})["token"]
    auctions = [server.ask("POST", "/api/auctions", {
        "title": f"Lot {i}", "description": "For the benchmark.", "category": "other",
        "currency": "USD", "start_price": 100, "duration_ms": 3600000, "soft_close": None,
    }, seller)["auction"]["id"] for i in range(AUCTIONS)]
    lines = [f"token {token}" for token in tokens] + [f"auction {a}" for a in auctions]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return auctions


def load(build, *arguments):
    command = [str(build / "bin/bench_load")] + [str(a) for a in arguments]
    process = pinned(1, command, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=240)
    if process.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed")
    return json.loads(out)


def with_floor(build, n, seconds):
    port = 20000 + os.getpid() % 20000
    floor = pinned(0, [str(build / "bin/bench_floor"), str(port), str(FRAME_BYTES)])
    time.sleep(0.2)
    try:
        return load(build, "floor", port, floor.pid, n, seconds)
    finally:
        floor.kill()
        floor.wait()


def fanout(build, binary, n, seconds, rounds):
    """Alternating rounds of floor and product; the median of the ratios."""
    products, floors = [], []
    for _ in range(rounds):
        floors.append(with_floor(build, n, seconds))
        with tempfile.TemporaryDirectory() as folder:
            server = Server(binary, folder)
            fill(server, folder + "/load", 2)
            products.append(load(build, "fanout", server.port, server.process.pid, n, seconds, 1,
                                 folder + "/load"))
            server.stop()
    ratios = [p["cpu_us_per_delivery"] / f["cpu_us_per_delivery"]
              for p, f in zip(products, floors)]
    return {
        "watchers": n,
        "deliveries_per_second": statistics.median(p["deliveries_per_second"] for p in products),
        "cpu_us_per_delivery": statistics.median(p["cpu_us_per_delivery"] for p in products),
        "floor_cpu_us_per_delivery": statistics.median(f["cpu_us_per_delivery"] for f in floors),
        "ratio_to_floor": statistics.median(ratios),
    }


def connections(build, binary, quick):
    """Memory and handshakes at a growing number of connections, and what a message costs then."""
    rows = []
    for n in (1000, 5000) if quick else (1000, 5000, 10000):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(binary, folder)
            row = load(build, "handshakes", server.port, server.process.pid, n)
            server.stop()
            server = Server(binary, folder)
            row["inbound_cpu_us_each"] = load(build, "inbound", server.port, server.process.pid, n,
                                              2, 1000)["cpu_us_each"]
            server.stop()
            rows.append(row)
    return rows


def bids(build, binary, seconds, rate):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(binary, folder)
        auctions = fill(server, folder + "/load", BIDDERS)
        result = load(build, "bids", server.port, server.process.pid, 0, seconds, rate,
                      folder + "/load")
        state = load(build, "http", server.port, server.process.pid, 50, min(seconds, 4), 0,
                     f"/api/auctions/{auctions[0]}/state")
        server.stop()
        server = Server(binary, folder)  # with that much behind it
        ready_s = server.ready_s
        server.stop()
    return result, state, ready_s


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="shorter and fewer rounds")
    parser.add_argument("--json", help="write the figures to this file too")
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    options = parser.parse_args()
    build = Path(options.build)
    binary = str(build / "bin/quickbid")
    if not shutil.which("taskset"):
        print("taskset is not there: server and client share processors", file=sys.stderr)
    seconds, rounds = (2, 1) if options.quick else (4, 3)
    fan = fanout(build, binary, 5000, seconds, rounds)
    rows = connections(build, binary, options.quick)
    verdicts, state, ready_s = bids(build, binary, 4 if options.quick else 10, 2000)
    print(f"""fan-out to {fan['watchers']} watchers of one auction, one update in flight
  deliveries/s            {fan['deliveries_per_second']:>12,.0f}
  server CPU/delivery     {fan['cpu_us_per_delivery']:>12.2f} µs   bare epoll floor {fan['floor_cpu_us_per_delivery']:.2f} µs   ratio {fan['ratio_to_floor']:.2f}
bids, {verdicts['bids']} durable at {verdicts['per_second']:,.0f}/s over {AUCTIONS} auctions ({verdicts['accepted']} accepted)
  verdict p50/p95/p99     {verdicts['p50_ms']:>6.2f} / {verdicts['p95_ms']:.2f} / {verdicts['p99_ms']:.2f} ms (from when it should have been sent)
  server CPU/bid          {verdicts['cpu_us_each']:>12.1f} µs
GET …/state, keep-alive
  requests/s              {state['per_second']:>12,.0f}        CPU/request {state['cpu_us_each']:.1f} µs
start with these bids behind it {ready_s * 1000:>5.0f} ms
connections   handshakes/s   CPU/handshake   memory each   CPU/inbound message""")
    for row in rows:
        print(f"{row['connections']:>11,}   {row['per_second']:>12,.0f}   {row['cpu_us_each']:>10.1f} µs"
              f"   {row['resident_bytes_each'] / 1024:>7.2f} KiB   {row['inbound_cpu_us_each']:>10.1f} µs")
    if options.json:
        figures = {"fanout": fan, "connections": rows, "bids": verdicts, "state": state,
                   "ready_s": ready_s}
        Path(options.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
