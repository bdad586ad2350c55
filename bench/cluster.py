#!/usr/bin/env python3
"""The benchmarks of a whole cluster on one machine, beside the bare limits of its servers.

`./dev bench --cluster [--quick] [--json FILE]` starts Redis, RabbitMQ, Postgres, two persisters and
three replicas in a folder of its own, bids, and prints a table: figure, the bare server's figure
from the same run, their ratio, the aim. Then it looks for every acknowledged bid in Postgres.

All share the processors of the machine, the client too: trust the ratios. What else the machine did
meanwhile stands in the last lines.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cluster_stack import BIDS_PER_MINUTE, ROOT, SHARDS, Cluster

STEP = 20000      # between two maxima: bidders.h
RACE_WINDOW = 300
SHARE = 0.95      # of an account's limit that a run may use: its window is not the run's
STREAK = int(BIDS_PER_MINUTE * SHARE)
STREAK_WINDOW = 150  # so that no more than two accounts are at it: of three, the middle one's bids
                     # would put those of the lowest below the price

AIMS = {"spread": 10000, "hot": 5000, "paced_p99_ms": 100, "recovery_s": 5}


def tokens_for(cluster, bids):
    """New accounts, since each may bid so often in a minute and no more; a multiple of replicas."""
    wanted = -(-bids // STREAK)
    replicas = len(cluster.ports)
    return cluster.accounts(-(-wanted // replicas) * replicas)


def bid(cluster, auctions, bids=None, **options):
    """One run of the load client; maxima of an auction only rise, from run to run too."""
    total = bids or int(options["rate"] * options["seconds"])
    accounts = tokens_for(cluster, total)
    acknowledged = cluster.folder / f"acknowledged-{len(cluster.acknowledged)}"
    base = max(cluster.tops.get(auction, 100) for auction in auctions)
    if bids:
        options["bids"] = bids
    before, begin = cluster.usage(), time.monotonic()
    result = cluster.load("replicas", auctions, accounts, base=base, acknowledged=acknowledged,
                          **options)
    seconds = time.monotonic() - begin
    cluster.acknowledged.append((acknowledged, accounts))
    for auction in auctions:
        cluster.tops[auction] = result["top"]
    used = cluster.usage_since(before)
    result["cpu_us_per_bid"] = {name: round(value * 1e6 / max(result["answered"], 1), 1)
                                for name, value in used.items()}
    result["others_cpus"] = round(used.get("others", 0) / seconds, 2)
    result["unanswered"] = result["sent"] - result["answered"]
    return result


def bare_redis(cluster, entry_bytes, requests):
    """XADD of entries as long, each command of its own, pipelined, to all shards at the same time."""
    def one(shard):
        port, secret = cluster.redis(shard)
        # The password is in the arguments, where others of this machine may read it: it is of a
        # Redis that lives as long as this run.
        command = ["redis-benchmark", "-h", "127.0.0.1", "-p", port, "--user", "operator", "-a",
                   secret, "-c", "3", "-P", "64", "-r", "500", "-n", str(requests), "--csv",
                   "XADD", "bench:__rand_int__", "*", "e", "x" * entry_bytes]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return float(done.stdout.strip().split("\n")[-1].split('","')[1].strip('"'))
    with ThreadPoolExecutor(SHARDS) as pool:
        total = sum(pool.map(one, range(SHARDS)))
    for shard in range(SHARDS):
        cluster.redis_forget(shard, "bench:*")
    return total


def bare_rabbit(cluster, message_bytes, seconds):
    """Confirmed messages a second, a queue for each shard, both at the same time."""
    def one(shard):
        command = [str(cluster.bin / "qb_bare_rabbit"), f"bench-{shard}", str(message_bytes), "10",
                   str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True,
                              env=cluster.env)
        return json.loads(done.stdout)
    with ThreadPoolExecutor(SHARDS) as pool:
        runs = list(pool.map(one, range(SHARDS)))
    return {"messages_per_s": sum(run["messages_per_s"] for run in runs),
            "p50_ms": max(run["p50_ms"] for run in runs),
            "p99_ms": max(run["p99_ms"] for run in runs)}


def bare_postgres(cluster, rows, batch):
    """COPY of the newest rows of the ledger's two tables into such tables, a transaction a batch."""
    tables = ("entries", "bids")
    blocks = {}
    for table in tables:
        cluster.sql(f"drop table if exists bench_{table};"
                    f"create table bench_{table} (like {table} including all)")
        text = cluster.sql(f"copy (select * from {table} order by auction desc, seq limit {rows}) "
                           "to stdout")
        lines = text.splitlines(keepends=True)
        blocks[table] = [lines[i:i + batch] for i in range(0, len(lines), batch)]
    count = sum(len(block) for block in blocks["entries"])
    script = []
    for i in range(max(len(part) for part in blocks.values())):
        script.append("begin;\n")
        for table in tables:
            if i < len(blocks[table]):
                script += [f"copy bench_{table} from stdin;\n", *blocks[table][i], "\\.\n"]
        script.append("commit;\n")
    path = cluster.folder / "copy.sql"
    path.write_text("".join(script), encoding="utf-8")
    begin = time.monotonic()
    cluster.psql("-f", str(path))
    seconds = time.monotonic() - begin
    cluster.sql("drop table bench_entries; drop table bench_bids")
    path.unlink()
    return count / seconds


def persister_rate(cluster, auctions, bids):
    """Persisters come back to a queue of so many bids: rows a second from their first to their last."""
    cluster.wait_for_store()
    for name in ("persister-1", "persister-2"):
        cluster.stack("kill", name)
    before = cluster.count_entries()
    result = bid(cluster, auctions, bids, window=len(auctions))
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(cluster.stack, "start", name)
                  for name in ("persister-1", "persister-2")]
        first = last = time.monotonic()
        seen = began = before
        want = before + result["answered"] - result["codes"].get("rate_limited", 0)
        used = cluster.usage()
        while seen < want and time.monotonic() - last < 20:
            time.sleep(0.02)
            now = cluster.count_entries()
            if seen == before and now > before:
                first, began, used = time.monotonic(), now, cluster.usage()
            if now > seen:
                seen, last = now, time.monotonic()
        for start in starts:
            start.result()
    rows, spent = seen - began, cluster.usage_since(used)
    return {"rows_per_s": rows / max(last - first, 1e-9), "rows": rows,
            "cpu_us_per_row": {name: round(value * 1e6 / max(rows, 1), 1)
                               for name, value in spent.items()}}


def recovery(cluster, auctions):
    """kill -9 of one shard, its data gone: from then, and from its return, until all take bids."""
    accounts = tokens_for(cluster, len(auctions) * 40)
    base = max(cluster.tops.get(auction, 100) for auction in auctions)
    client = cluster.start_load("comeback", auctions, accounts, base=base)
    begin = time.monotonic()
    cluster.stack("kill", "redis-1")
    cluster.stack("wipe", "redis-1")
    cluster.stack("start", "redis-1")
    back = time.monotonic()
    result = cluster.finish_load(client)
    result["down_s"] = round(back - begin, 3)
    result["since_return_s"] = round(result["last_ms"] / 1000, 3)
    for auction in auctions:
        cluster.tops[auction] = base + STEP
    return result


def shares(result):
    """The least share of a replica in what was accepted, as a part of its fair share."""
    total = sum(result["accepted_at"])
    return min(result["accepted_at"]) * len(result["accepted_at"]) / max(total, 1)


def middle(runs, name):
    return statistics.median(run[name] for run in runs)


def measure(cluster, size):
    report = {"cpus": os.cpu_count()}
    auctions = cluster.auctions(size["auctions"])
    hot = cluster.auctions(1)
    # Every replica has met every auction, and statements are prepared.
    bid(cluster, auctions + hot, len(auctions) * 3, window=100)
    journal = cluster.journal()
    spread, hots, races, redis, rabbit = [], [], [], [], []
    for _ in range(size["rounds"]):
        spread.append(bid(cluster, auctions, size["bids"], window=size["window"]))
        hots.append(bid(cluster, hot, size["bids"], window=min(STREAK_WINDOW, size["window"]),
                        burst=STREAK, streak=True))
        races.append(bid(cluster, hot, size["bids"], window=RACE_WINDOW))
        after = cluster.journal()
        bytes_each = cluster.entry_bytes()
        batch = (after["entries"] - journal["entries"]) / max(after["messages"] -
                                                              journal["messages"], 1)
        redis.append(bare_redis(cluster, bytes_each, size["bids"]))
        rabbit.append(bare_rabbit(cluster, round(batch * (bytes_each + 2)) + 16, size["seconds"]))
        report.update(entry_bytes=bytes_each, entries_per_message=round(batch, 1))
        journal = cluster.journal()
    report.update(spread=spread, hot=hots, race=races, bare_redis=redis, bare_rabbit=rabbit)
    report["paced"] = bid(cluster, auctions, rate=500, seconds=size["paced_seconds"], watch=True)
    report["bare_confirm"] = bare_rabbit(cluster, report["entry_bytes"] + 18, 1)
    report["persist"] = persister_rate(cluster, auctions, size["bids"])
    report["bare_postgres"] = bare_postgres(cluster, size["bids"], 1000)
    report["proof"] = cluster.prove()
    if size["live"]:
        live = (auctions + cluster.auctions(max(size["live"] - len(auctions), 0)))[:size["live"]]
        bid(cluster, live, len(live) * 3, window=100)
        report["recovery"] = recovery(cluster, live)
        report["proof"] = cluster.prove()
    return report


def line(what, figure, unit, bare="", ratio="", verdict=""):
    print(f"{what:<44}{figure:>12}  {unit:<8}{bare:>12}{ratio:>9}  {verdict}")


def at_least(value, least):
    return f"{'met' if value >= least else 'MISSED'} (at least {least})"


def at_most(value, most):
    return f"{'met' if value <= most else 'MISSED'} (at most {most})"


def print_rates(report, name, what):
    """Accepted bids, beside each server alone."""
    runs = report[name]
    redis = statistics.median(report["bare_redis"])
    rabbit = middle(report["bare_rabbit"], "messages_per_s") * report["entries_per_message"]
    rate = middle(runs, "accepted_per_s")
    line(f"{what}: accepted", f"{rate:.0f}", "/s", f"{redis:.0f}", f"{rate / redis:.2f}",
         at_least(rate, AIMS[name]) + "; bare: XADD")
    line("", "", "", f"{rabbit:.0f}", f"{rate / rabbit:.2f}",
         f"bare: confirms of {report['entries_per_message']} entries a message")


def print_bids(report, name, what):
    runs = report[name]
    answers = middle(runs, "answered_per_s")
    unanswered = sum(run["unanswered"] for run in runs)
    line(f"{what}: answered", f"{answers:.0f}", "/s", "", "",
         f"{unanswered} without answer; " + codes_text(runs))
    if name != "spread":
        least = min(shares(run) for run in runs)
        line(f"{what}: least share of a replica", f"{least:.2f}", "x fair", "", "",
             at_least(round(least, 2), 0.5))
    times = [run["verdict"] for run in runs]
    line(f"{what}: verdict p50 / p99",
         f"{middle(times, 'p50_ms'):.1f} / {middle(times, 'p99_ms'):.1f}", "ms")
    print_cpu(f"{what}: CPU per bid", [run["cpu_us_per_bid"] for run in runs])


def print_cpu(what, runs):
    """By kind of server, what is less than a microsecond left out."""
    cpu = {key: statistics.median(run.get(key, 0) for run in runs) for key in runs[0]}
    cpu.pop("others", None)
    parts = sorted(cpu.items(), key=lambda part: -part[1])
    line(what, f"{sum(cpu.values()):.0f}", "us", "", "",
         ", ".join(f"{key} {value:.0f}" for key, value in parts if value >= 1))


def codes_text(runs):
    sums = {}
    for run in runs:
        for code, count in run["codes"].items():
            sums[code] = sums.get(code, 0) + count
    return "refused: " + (", ".join(f"{code} {count}" for code, count in sums.items()) or "none")


def print_report(report):
    line("", "QuickBid", "", "bare server", "ratio")
    print_rates(report, "spread", "spread")
    print_bids(report, "spread", "spread")
    print_rates(report, "hot", "one auction, in turn")
    print_bids(report, "hot", "one auction, in turn")
    print_bids(report, "race", "one auction, a race")
    paced, confirm = report["paced"], report["bare_confirm"]
    verdict = paced["verdict"]
    line("500 bids/s: verdict p50", f"{verdict['p50_ms']:.2f}", "ms", f"{confirm['p50_ms']:.2f}",
         f"{verdict['p50_ms'] / confirm['p50_ms']:.1f}")
    line("500 bids/s: verdict p99", f"{verdict['p99_ms']:.2f}", "ms", f"{confirm['p99_ms']:.2f}",
         f"{verdict['p99_ms'] / confirm['p99_ms']:.1f}",
         at_most(verdict["p99_ms"], AIMS["paced_p99_ms"]))
    line("500 bids/s: update first to last replica p50", f"{paced['lag']['p50_ms']:.2f}", "ms")
    line("500 bids/s: update first to last replica p99", f"{paced['lag']['p99_ms']:.2f}", "ms", "",
         "", f"{paced['lag']['count']} updates; " + codes_text([paced]))
    persist, copy = report["persist"]["rows_per_s"], report["bare_postgres"]
    line("persisters: entries", f"{persist:.0f}", "/s", f"{copy:.0f}", f"{persist / copy:.2f}")
    print_cpu("persisters: CPU per entry", [report["persist"]["cpu_us_per_row"]])
    if "recovery" in report:
        back = report["recovery"]
        line(f"recovery of {back['auctions']} auctions: from Redis's return",
             f"{back['since_return_s']:.2f}", "s", "", "",
             at_most(back["since_return_s"], AIMS["recovery_s"])
             + f"; {back['auctions'] - back['accepted']} not back; Redis was away {back['down_s']} s")
    proof = report["proof"]
    print(f"\nEvery acknowledged bid is in Postgres once: {proof['acknowledged']} looked for, "
          f"{proof['missing']} missing, {proof['double']} double, {proof['gaps']} gaps in ledgers.")
    busy = statistics.median(run["others_cpus"] for run in report["spread"] + report["hot"])
    print(f"Other work on this machine took {busy:.2f} of its {report['cpus']} processors "
          "in the runs of spread and hot.")


SIZES = {
    "full": {"auctions": 500, "bids": 50000, "rounds": 3, "window": 1000, "seconds": 3,
             "paced_seconds": 20, "live": 1000},
    "quick": {"auctions": 300, "bids": 15000, "rounds": 1, "window": 600, "seconds": 1,
              "paced_seconds": 4, "live": 100},
    # So little that it tells nothing of speed: whether all of it works.
    "smoke": {"auctions": 12, "bids": 600, "rounds": 1, "window": 24, "seconds": 0.2,
              "paced_seconds": 0.5, "live": 12},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="within two minutes, less exact")
    parser.add_argument("--smoke", action="store_true", help="seconds; the figures tell nothing")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--build", default=ROOT / "build/release", help="where the programs are")
    options = parser.parse_args()
    size = SIZES["smoke" if options.smoke else "quick" if options.quick else "full"]
    with tempfile.TemporaryDirectory(prefix="quickbid-bench-", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(options.build, folder)
        try:
            cluster.start()
            report = measure(cluster, size)
        finally:
            cluster.stop()
    print_report(report)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    proof = report["proof"]
    lost = sum(run["unanswered"] for name in ("spread", "hot", "race") for run in report[name])
    if proof["missing"] or proof["double"] or proof["gaps"] or lost:
        sys.exit("bench: a promise was broken; see above")


if __name__ == "__main__":
    main()
