/**
 * The client module against a server that is a few lines of script: what it sends, when it comes
 * back, and that a bid counts once. Time is the test's.
 *
 *     node --test tests/browser/sdk_test.mjs
 */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Clock, backoffMs, isNewer, planAfterClose } from "../../static/sdk/parts.js";
import { QuickBid, newKey } from "../../static/sdk/quickbid.js";

const AUCTION = "01jabcdefghjk";
const START_MS = 1_800_000_000_000;
const OPEN = 1;
let sockets = [];
let client;

/** One end of a WebSocket; the test plays the server. */
class FakeSocket {
  constructor(url, subprotocol) {
    Object.assign(this, { url, subprotocol, sent: [], readyState: 0 });
    sockets.push(this);
  }
  send(text) {
    const message = JSON.parse(text);
    this.sent.push(message);
    if (message.do !== "ping" || this.isDeaf) return;
    queueMicrotask(() => this.say({ id: message.id, ok: true, now_ms: Date.now() }));
  }
  close() {
    this.readyState = 3;
  }
  open() {
    this.readyState = OPEN;
    this.onopen({});
  }
  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
  /** What it was sent of one kind. */
  of(kind) {
    return this.sent.filter((message) => message.do === kind);
  }
  answer(kind, members) {
    this.say({ id: this.of(kind).at(-1).id, ok: true, ...members });
  }
  refuse(kind, error) {
    this.say({ id: this.of(kind).at(-1).id, ok: false, error });
  }
  drop(code) {
    this.onclose({ code });
  }
}

const last = () => sockets.at(-1);
const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};
/** Lets time pass in small steps, so that each timer sees the time at which it was due. */
const pass = async (ms) => {
  for (let rest = ms; rest >= 0; rest -= 100) {
    mock.timers.tick(Math.min(rest, 100));
    await settle();
    if (rest === 0) break;
  }
};
const stateAt = (epoch, seq, more = {}) => ({
  auction: AUCTION,
  epoch,
  seq,
  dur: seq,
  status: "open",
  price: 1000 + seq,
  leader: "K7Q2F",
  bids: seq,
  minimum: 2000,
  now_ms: START_MS + seq,
  ...more,
});

async function connected(options = {}) {
  client = new QuickBid({
    url: "ws://test/ws",
    WebSocket: FakeSocket,
    random: () => 0.5,
    ...options,
  });
  client.connect();
  last().open();
  await settle();
  return client;
}

async function watching(sights) {
  await connected();
  client.watch(AUCTION, (sight) => sights.push(sight));
  await pass(0);
}

const bid = (more) => client.bid({ auction: AUCTION, max: 2100, currency: "USD", ...more });
const verdict = (more = {}) => ({
  verdict: "leading",
  seq: 4,
  epoch: 1,
  price: 2000,
  minimum: 2100,
  label: "9XD3A",
  ...more,
});

beforeEach(() => {
  sockets = [];
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: START_MS });
});

afterEach(() => {
  client?.close();
  client = undefined;
  mock.timers.reset();
});

test("it speaks the subprotocol and is live once open", async () => {
  await connected();
  assert.equal(last().subprotocol, "quickbid.v1");
  assert.equal(client.status, "live");
});

test("keys are 128 random bits and never the same", () => {
  assert.match(newKey(), /^[0-9a-f]{32}$/);
  assert.equal(new Set(Array.from({ length: 1000 }, newKey)).size, 1000);
});

test("only what is newer is applied", () => {
  const known = stateAt(2, 7);
  const rows = [
    ["a later entry", stateAt(2, 8), true],
    ["an earlier one", stateAt(2, 6), false],
    ["a new epoch with a smaller seq", stateAt(3, 1), true],
    ["an old epoch", stateAt(1, 99), false],
    ["the same, more durable", stateAt(2, 7, { dur: 8 }), true],
    ["the same, less durable", stateAt(2, 7, { dur: 6 }), false],
  ];
  for (const [says, next, expected] of rows) assert.equal(isNewer(known, next), expected, says);
  assert.equal(isNewer(null, known), true, "the first one");
});

test("the back-off is jittered over all of it and has a top", () => {
  assert.equal(
    backoffMs(0, () => 1),
    500,
  );
  assert.equal(
    backoffMs(3, () => 1),
    4_000,
  );
  assert.equal(
    backoffMs(40, () => 1),
    30_000,
  );
  assert.equal(
    backoffMs(5, () => 0),
    0,
  );
});

test("close codes say what to do", () => {
  assert.equal(planAfterClose(4002).retry, false);
  assert.equal(planAfterClose(4001).renew, true);
  assert.ok(planAfterClose(4103).waitMs >= 1_000);
  assert.ok(planAfterClose(1013).waitMs >= 1_000);
  assert.equal(planAfterClose(4201).now, true);
  assert.deepEqual(planAfterClose(1006), { retry: true, waitMs: 0 });
});

test("of several round trips the shortest tells the time", () => {
  const clock = new Clock();
  clock.hint(1_000, 5_000);
  assert.equal(clock.offsetMs, 4_000, "before any round trip");
  clock.add(1_000, 1_400, 5_000);
  clock.add(2_000, 2_010, 6_105);
  clock.add(3_000, 3_600, 7_900);
  assert.equal(clock.offsetMs, 4_100);
  assert.equal(clock.errorMs, 5);
});

test("watching again starts from the last position", async () => {
  const sights = [];
  await watching(sights);
  assert.deepEqual({ ...last().of("watch")[0], id: 0 }, { id: 0, do: "watch", auction: AUCTION });
  last().answer("watch", { state: stateAt(1, 3), you: { label: "9XD3A" }, result: "snapshot" });
  await settle();
  last().say({ on: "update", ...stateAt(1, 5) });
  last().say({ on: "update", ...stateAt(1, 4) });
  assert.deepEqual(
    sights.map(({ state }) => state.seq),
    [3, 5],
    "the late one is dropped",
  );
  last().drop(1006);
  assert.equal(sights.at(-1).isLive, false, "as of, from here on");
  await pass(1_000);
  last().open();
  await pass(0);
  assert.deepEqual(
    { ...last().of("watch")[0], id: 0 },
    { id: 0, do: "watch", auction: AUCTION, epoch: 1, seq: 5 },
  );
  last().answer("watch", {
    state: stateAt(1, 7),
    missed: [{ seq: 6 }, { seq: 7 }],
    result: "missed",
  });
  await settle();
  assert.equal(sights.at(-1).isLive, true);
  assert.equal(sights.at(-1).missed.length, 2);
});

test("many auctions are asked for a few at a time", async () => {
  await connected();
  for (let i = 0; i < 20; i++) client.watch(`01jabcdefgh${i + 10}`, () => {});
  await pass(0);
  assert.equal(last().of("watch").length, 8);
  await pass(1_000);
  assert.equal(last().of("watch").length, 20);
});

test("a bid whose answer is lost goes out again under the same key, and counts once", async () => {
  await connected();
  const promise = bid();
  const [first] = last().of("bid");
  last().drop(1006);
  await pass(1_000);
  last().open();
  await settle();
  const [again] = last().of("bid");
  assert.equal(again.key, first.key);
  assert.equal(again.max, first.max);
  last().answer("bid", verdict());
  assert.equal((await promise).verdict, "leading");
});

test("a bid without an answer in time is sent again, and the late answer to the first counts", async () => {
  await connected();
  const promise = bid();
  await pass(6_000);
  const bids = last().of("bid");
  assert.equal(bids.length, 2);
  assert.equal(bids[0].key, bids[1].key);
  last().say({ id: bids[0].id, ok: true, ...verdict() });
  assert.equal((await promise).seq, 4);
  await pass(30_000);
  assert.equal(last().of("bid").length, 2, "no third");
});

test("a refusal is final and carries what would do", async () => {
  await connected();
  const promise = bid();
  last().refuse("bid", { code: "too_low", message: "x", temporary: true, minimum: 2500, seq: 9 });
  await assert.rejects(promise, { code: "too_low", minimum: 2500 });
  await pass(30_000);
  assert.equal(last().of("bid").length, 1);
});

test("a failure that will pass is tried again after the time told, under the same key", async () => {
  await connected();
  const promise = bid();
  last().refuse("bid", {
    code: "rate_limited",
    message: "x",
    temporary: true,
    retry_after_ms: 3_000,
  });
  await pass(2_900);
  assert.equal(last().of("bid").length, 1);
  await pass(200);
  assert.equal(last().of("bid").length, 2);
  assert.equal(
    new Set(
      last()
        .of("bid")
        .map(({ key }) => key),
    ).size,
    1,
  );
  last().answer("bid", verdict());
  await promise;
});

test("after pending the key is resolved, not bid again", async () => {
  await connected();
  const promise = bid();
  const [{ id, key }] = last().of("bid");
  last().say({ on: "pending", id, key });
  await pass(4_100);
  assert.equal(last().of("bid").length, 1);
  assert.equal(last().of("resolve")[0].key, key);
  last().answer("resolve", verdict({ verdict: "void" }));
  assert.equal((await promise).verdict, "void");
});

test("what never left fails after the patience, and is not sent later", async () => {
  client = new QuickBid({
    url: "ws://test/ws",
    WebSocket: FakeSocket,
    patienceMs: 5_000,
    random: () => 0.5,
  });
  client.connect();
  const promise = assert.rejects(bid(), { code: "not_sent" });
  await pass(5_000);
  await promise;
  last().open();
  await settle();
  assert.equal(last().of("bid").length, 0);
});

test("what was sent before a long outage is resolved, not bid again", async () => {
  await connected({ patienceMs: 5_000 });
  const unsettled = [];
  client.addEventListener("unsettled", ({ detail }) => unsettled.push(detail.key));
  const promise = bid();
  const [{ key }] = last().of("bid");
  last().drop(1006);
  await pass(6_000);
  assert.deepEqual(unsettled, [key]);
  last().open();
  await settle();
  assert.equal(last().of("bid").length, 0);
  assert.equal(last().of("resolve")[0].key, key);
  last().answer("resolve", verdict());
  assert.equal((await promise).verdict, "leading");
});

test("a bid made before sleep is not placed after it", async () => {
  await connected({ patienceMs: 5_000 });
  last().drop(1006);
  const promise = assert.rejects(bid(), { code: "not_sent" });
  await pass(1_000);
  // Only the clock went on: no timer has run when the line is back.
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: START_MS + 3_600_000 });
  last().open();
  await settle();
  await promise;
  assert.equal(last().of("bid").length, 0);
});

test("the same key given twice is one bid", async () => {
  await connected();
  const key = newKey();
  assert.equal(bid({ key }), bid({ key }));
  assert.equal(last().of("bid").length, 1);
  last().answer("bid", verdict());
});

test("a verdict says who you are and what your maximum is; outbid takes it away", async () => {
  const sights = [];
  await watching(sights);
  last().answer("watch", { state: stateAt(1, 3), result: "snapshot" });
  await settle();
  const promise = bid();
  last().answer("bid", verdict());
  await promise;
  assert.deepEqual(sights.at(-1).you, { label: "9XD3A", max: 2100 });
  last().say({ on: "outbid", auction: AUCTION, price: 2200, minimum: 2300, seq: 6 });
  last().say({ on: "update", ...stateAt(1, 6) });
  assert.deepEqual(sights.at(-1).you, { label: "9XD3A" });
});

test("how many watch is told beside the state", async () => {
  const sights = [];
  await watching(sights);
  last().say({ on: "watchers", auction: AUCTION, watchers: 3 });
  last().answer("watch", { state: stateAt(1, 3, { watchers: 4 }), result: "snapshot" });
  await settle();
  assert.deepEqual([sights.length, sights[0].state.watchers], [1, 4], "not before the state");
  last().say({ on: "watchers", auction: AUCTION, watchers: 5 });
  assert.deepEqual(sights.at(-1).state, stateAt(1, 3, { watchers: 5 }));
  last().say({ on: "watchers", auction: AUCTION, watchers: 5 });
  assert.equal(sights.length, 2, "only when it changes");
});

test("what the server lost touch with is not live until it says so", async () => {
  const sights = [];
  await watching(sights);
  last().say({ on: "stale", since_ms: START_MS, auctions: ["01jzzzzzzzzzz", AUCTION] }); // may come before the answer
  last().answer("watch", { state: stateAt(1, 3), result: "snapshot" });
  await settle();
  assert.deepEqual([sights.at(-1).isLive, client.isBehind, client.status], [false, true, "live"]);
  last().say({ on: "live", auctions: [AUCTION] });
  assert.deepEqual([sights.at(-1).isLive, client.isBehind], [true, false]);
  last().say({ on: "stale", since_ms: START_MS, auctions: [AUCTION] });
  assert.deepEqual([sights.at(-1).isLive, sights.at(-1).state.seq], [false, 3]);
  last().say({ on: "reconnect", after_ms: 300 });
  last().drop(1013);
  await pass(400);
  assert.equal(sockets.length, 2, "sent away, it comes back when it was told to");
  last().open();
  await settle();
  last().answer("watch", { state: stateAt(1, 3), result: "missed" });
  await settle();
  assert.deepEqual([sights.at(-1).isLive, client.isBehind], [true, false], "the other one hears");
});

test("a restarting server is given the time it asked for", async () => {
  await connected();
  last().say({ on: "reconnect", after_ms: 7_000 });
  last().drop(1012);
  await pass(6_900);
  assert.equal(sockets.length, 1);
  await pass(200);
  assert.equal(sockets.length, 2);
});

test("a logged-out client stays away until told", async () => {
  await connected();
  last().drop(4002);
  await pass(60_000);
  assert.equal(sockets.length, 1);
  assert.equal(client.status, "closed");
  client.connect();
  assert.equal(sockets.length, 2);
});

test("a banned client is told that the server no longer knows it", async () => {
  await connected();
  const codes = [];
  client.addEventListener("signedout", ({ detail }) => codes.push(detail.code));
  last().drop(4003);
  await pass(60_000);
  assert.deepEqual([codes, sockets.length], [[4003], 1]);
});

test("an ended login is renewed, then the client comes back at once", async () => {
  let renewals = 0;
  await connected({
    renew: async () => {
      renewals++;
      return true;
    },
  });
  last().drop(4001);
  await settle();
  assert.equal(renewals, 1);
  assert.equal(sockets.length, 2);
  last().open();
  last().drop(4001);
  await settle();
  assert.equal(renewals, 1, "no circle without a pause");
});

test("a line that is dead without a close is found and left", async () => {
  await connected();
  await pass(60_000);
  assert.equal(sockets.length, 1, "as long as it answers, it stays");
  last().isDeaf = true;
  await pass(40_000);
  assert.equal(sockets.length, 2);
});

test("after sleep the line is probed at once", async () => {
  await connected();
  await pass(4_000);
  const before = last().of("ping").length;
  // The machine slept: the clock is ahead by the time the timers run. Not long enough for silence.
  mock.timers.tick(20_000);
  assert.ok(last().of("ping").length > before);
  assert.equal(client.clockErrorMs, Infinity, "what was measured before says nothing");
  await settle();
  assert.equal(client.clockErrorMs, 0);
});

test("an access token goes first, before watches and bids", async () => {
  client = new QuickBid({
    url: "ws://test/ws",
    WebSocket: FakeSocket,
    token: async () => "secret",
  });
  client.watch(AUCTION, () => {});
  client.connect();
  last().open();
  await settle();
  assert.deepEqual(
    last().sent.map((message) => message.do),
    ["auth"],
  );
  last().answer("auth", { user: "u", expires_ms: Date.now() + 900_000 });
  await settle();
  assert.ok(last().of("watch").length === 1);
});

test("closing rejects what has no verdict, with its key", async () => {
  await connected();
  const key = newKey();
  const promise = assert.rejects(bid({ key }), { code: "closed", key });
  client.close();
  await promise;
});
