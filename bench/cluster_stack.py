"""What bench/cluster.py measures: k8s/stack in a folder of its own, accounts, auctions, proofs."""
import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIDS_PER_MINUTE = 200  # the largest that the server takes: app/settings.def
SHARDS = 2
REPLICAS = ("replica-1", "replica-2", "replica-3")
TICK = os.sysconf("SC_CLK_TCK")
BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"

# What the servers would refuse of one address in earnest; here one address is everybody.
LIMITS = {
    "CONNECTIONS_PER_ADDRESS": 1000000, "CONNECTIONS_PER_USER": 10000,
    "HANDSHAKES_PER_SECOND": 1000000, "MESSAGES_PER_SECOND": 100000, "MESSAGES_BURST": 100000,
    "BIDS_PER_MINUTE": BIDS_PER_MINUTE, "AUTH_ATTEMPTS": 1000000, "FIRST_COMMAND_MS": 120000,
    "WATCHES_MAX": 10000, "AUCTIONS_PER_SELLER": 1000000, "AUCTIONS_PER_DAY": 1000000,
}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def id_text(number):
    return "".join(BASE32[number >> shift & 31] for shift in range(60, -1, -5))


def id_number(text):
    number = 0
    for digit in text:
        number = number << 5 | BASE32.index(digit)
    return number


def cpu_seconds(pid):
    """Of a process and its threads; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def machine_seconds():
    fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICK


def kind_of(name):
    return re.sub(r"-\d+.*", "", name)


class Cluster:
    def __init__(self, build, folder):
        self.bin, self.folder = Path(build).resolve() / "bin", Path(folder)
        self.env = {**os.environ, "QB_BINARY": str(self.bin / "quickbid"),
                    **{f"QUICKBID_{name}": str(value) for name, value in LIMITS.items()}}
        self.tops = {}           # of an auction: above the largest maximum so far
        self.acknowledged = []   # files of the load client, each with the accounts of its run
        self.client_seconds = 0.0

    def stack(self, *words):
        command = [str(ROOT / "k8s/stack"), words[0], "--dir", str(self.folder), *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, env=self.env, timeout=180)
        if done.returncode != 0:
            sys.exit(f"bench: stack {' '.join(words)} failed: {done.stderr}")
        return done.stdout

    def start(self):
        self.stack("up", "--with", str(os.getpid()), "redis", "rabbitmq", "postgres", "persisters",
                   "replicas")
        for text in (self.folder / "env").read_text(encoding="utf-8").splitlines():
            name, value = re.fullmatch(r"export (\w+)=(.*)", text).groups()
            self.env[name] = value
        rows = (self.folder / "ports").read_text(encoding="utf-8").split("\n")
        self.port = dict(row.split() for row in rows if row)
        self.ports = [self.port[name] for name in REPLICAS]
        self.make_signer()
        self.seller = self.accounts(1, roles=["bidder", "seller"])[0]

    def stop(self):
        self.stack("down", "--now")

    # Accounts: rows in the database and tokens signed here, since each password takes its time.

    def make_signer(self):
        seed = bytes.fromhex((self.folder / "token.key").read_text(encoding="utf-8").strip())
        self.key = self.folder / "bench.pem"
        der = bytes.fromhex("302e020100300506032b657004220420") + seed
        self.key.touch(mode=0o600)
        self.key.write_text("-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(der).decode()
                            + "\n-----END PRIVATE KEY-----\n", encoding="utf-8")
        public = subprocess.run(["openssl", "pkey", "-in", str(self.key), "-pubout", "-outform",
                                 "DER"], capture_output=True, check=True).stdout[-32:]
        self.kid = hashlib.sha256(public).digest()[:8].hex()

    def token(self, account, roles):
        now = int(time.time())
        header = f'{{"alg":"EdDSA","kid":"{self.kid}","typ":"JWT"}}'
        payload = json.dumps({
            "iss": "quickbid", "aud": "quickbid", "sub": id_text(account),
            "jti": base64url(secrets.token_bytes(16)), "iat": now, "nbf": now, "exp": now + 900,
            "sid": id_text(account), "roles": roles}, separators=(",", ":"))
        text = f"{base64url(header.encode())}.{base64url(payload.encode())}"
        path = self.folder / f"token-{account}"
        path.write_text(text, encoding="utf-8")
        signed = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(self.key),
                                 "-in", str(path)], capture_output=True, check=True).stdout
        path.unlink()
        return f"{text}.{base64url(signed)}"

    def accounts(self, count, roles=("bidder",)):
        """[(id, token)]"""
        ids = [secrets.randbits(62) | 1 for _ in range(count)]
        bits = {"bidder": 1, "seller": 2}
        role = sum(bits[name] for name in roles)
        rows = ",".join(f"({i}, 'b{i}@bench.example', 'Bench', '!', {role}, 0, 1)" for i in ids)
        self.sql("insert into users (id, email, name, verifier, roles, is_banned, created_us) "
                 f"values {rows}")
        with ThreadPoolExecutor(4) as pool:
            return list(zip(ids, pool.map(lambda i: self.token(i, list(roles)), ids)))

    def auctions(self, count):
        body = json.dumps({"title": "A lot to measure", "description": "Sold to nobody.",
                           "category": "other", "currency": "USD", "start_price": 100,
                           "duration_ms": 3600000 * 6}).encode()

        def make(i):
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.seller[1]}"}
            url = f"http://127.0.0.1:{self.ports[i % len(self.ports)]}/api/auctions"
            try:
                with urllib.request.urlopen(urllib.request.Request(url, body, headers),
                                            timeout=30) as answer:
                    return json.load(answer)["auction"]["id"]
            except urllib.error.HTTPError as error:
                sys.exit(f"bench: {url}: {error.code} {error.read().decode(errors='replace')}")
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(make, range(count)))

    # The load client.

    def command(self, scenario, auctions, accounts, options):
        tokens = self.folder / "tokens"
        tokens.write_text("".join(f"{token}\n" for _, token in accounts), encoding="utf-8")
        listed = self.folder / "auctions"
        listed.write_text("".join(f"{auction}\n" for auction in auctions), encoding="utf-8")
        command = [str(self.bin / "qb_load"), scenario, "--port", ",".join(self.ports), "--tokens",
                   str(tokens), "--auctions", str(listed)]
        for name, value in options.items():
            command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        return command

    def load(self, scenario, auctions, accounts, **options):
        command = self.command(scenario, auctions, accounts, options)
        before = os.times()
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        after = os.times()
        self.client_seconds += (after.children_user + after.children_system
                                - before.children_user - before.children_system)
        sys.stderr.write(done.stderr)
        if done.returncode != 0:
            sys.exit(f"bench: {scenario} failed; the logs: {self.logs()}")
        return json.loads(done.stdout)

    def start_load(self, scenario, auctions, accounts, **options):
        client = subprocess.Popen(self.command(scenario, auctions, accounts, options), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if client.stdout.readline() != "ready\n":
            sys.exit(f"bench: {scenario} failed; the logs: {self.logs()}")
        return client

    def finish_load(self, client):
        text, _ = client.communicate("go\n", timeout=180)
        if client.returncode != 0:
            sys.exit(f"bench: the client failed; the logs: {self.logs()}")
        return json.loads(text)

    def logs(self):
        texts = [f"{name}: {(self.folder / 'log' / name).read_text(errors='replace')[-1500:]}"
                 for name in REPLICAS]
        return "\n".join(texts)

    # What it costs.

    def usage(self):
        """CPU seconds so far by kind of server; `machine`: of all processes there are."""
        parents, used = {}, {"client": self.client_seconds, "machine": machine_seconds()}
        for path in Path("/proc").iterdir():
            if not path.name.isdigit():
                continue
            try:
                fields = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(path.name)] = int(fields[1])
        leaders = {int((self.folder / "run" / name).read_text(encoding="utf-8").split()[0]): name
                   for name in os.listdir(self.folder / "run") if name != "guard"}
        for pid in parents:
            root = pid
            while root not in leaders and root > 1:
                root = parents.get(root, 0)
            if root in leaders:
                kind = kind_of(leaders[root])
                used[kind] = used.get(kind, 0) + cpu_seconds(pid)
        return used

    def usage_since(self, before):
        now = self.usage()
        used = {name: max(now[name] - before.get(name, 0), 0) for name in now}
        machine = used.pop("machine")
        used["others"] = max(machine - sum(used.values()), 0)
        return used

    def metrics(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return dict(row.rsplit(" ", 1) for row in answer.read().decode().splitlines()
                        if row and row[0] != "#")

    def journal(self):
        """Entries and messages that were confirmed, of all replicas."""
        sums = {"entries": 0.0, "messages": 0.0}
        for port in self.ports:
            metrics = self.metrics(port)
            sums["entries"] += float(metrics["quickbid_journal_entries_total"])
            sums["messages"] += float(metrics["quickbid_journal_confirm_us_count"])
        return sums

    # The servers themselves.

    def redis(self, shard):
        """Port and password of the operator: the rights of a bare client."""
        url = self.env["REDIS_OPERATOR_URL"].split(",")[shard]
        return re.search(r":(\d+)$", url).group(1), re.search(r"operator:(\w+)@", url).group(1)

    def redis_forget(self, shard, pattern):
        port, secret = self.redis(shard)
        script = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end"
        subprocess.run(["redis-cli", "-p", port, "--user", "operator", "eval", script, "0", pattern],
                       env={**self.env, "REDISCLI_AUTH": secret}, check=True, capture_output=True)

    def psql(self, *words, text=None):
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.env["DATABASE_URL"], *words]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            sys.exit(f"bench: psql: {done.stderr}")
        return done.stdout

    def sql(self, text):
        return self.psql("-f", "-", text=text)

    def count_entries(self):
        """By what the auctions say: counting rows takes longer than the persisters need."""
        return int(self.sql("select coalesce(sum(applied_seq), 0) from auctions"))

    def entry_bytes(self):
        return int(self.sql("select round(avg(length(bytes))) from "
                            "(select bytes from entries order by auction desc limit 1000) t"))

    def wait_for_store(self, seconds=120):
        """Until nothing more comes."""
        deadline, seen = time.monotonic() + seconds, -1
        while time.monotonic() < deadline:
            now = self.count_entries()
            if now == seen:
                return
            seen = now
            time.sleep(1)
        sys.exit("bench: the persisters do not come to an end")

    def prove(self):
        """Every acknowledged bid is in Postgres at its place, once; no ledger has a gap."""
        self.wait_for_store()
        rows = []
        for path, accounts in self.acknowledged:
            for row in path.read_text(encoding="utf-8").splitlines():
                auction, seq, peer, most = row.split("\t")
                rows.append(f"{id_number(auction)}\t{seq}\t{accounts[int(peer)][0]}\t{most}\n")
        script = ("create temp table told (auction bigint, seq bigint, bidder bigint, max bigint);"
                  "\ncopy told from stdin;\n" + "".join(rows) + "\\.\n"
                  "select (select count(*) from told), (select count(*) from told left join bids b "
                  "using (auction, seq) where b.bidder is distinct from told.bidder or b.max is "
                  "distinct from told.max), (select count(*) - count(distinct (auction, seq)) from "
                  "told), (select count(*) from (select count(*) n, max(seq) m from entries group "
                  "by auction) t where n <> m);\n")
        names = ("acknowledged", "missing", "double", "gaps")
        return dict(zip(names, map(int, self.sql(script).strip().split("|"))))
