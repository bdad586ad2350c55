// kill -9 at random moments with many bids in flight; what was never answered is sent again under
// its key. In the end every key has one verdict, the chain holds, and there is one winner.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import test from 'node:test';
import { Client } from './client.mjs';
import { BINARY, until, withServer } from './kit.mjs';

const ROUNDS = Number(process.env.QB_TEST_CRASHES ?? 20);
const BIDDERS = 4;
const IN_FLIGHT = 8;
const MOMENT_MS_MAX = 120;
const DURATION_MS = 6000; // it ends amid the crashes
const END_MS_MAX = 60000; // an end that fell into an outage is moved by half a minute
const SETTINGS = {
  'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000, 'drain-spread-ms': 0,
  'connections-per-user': 100, 'log-lines-per-second': 0,
};

// One bidder: `open` holds what was sent and not answered, `answered` the first answer to each key.
class Bidder {
  constructor(account, auction, nextMax) {
    Object.assign(this, { account, auction, nextMax, open: new Map(), answered: new Map(), sent: 0 });
  }

  async send(client, key, max) {
    this.open.set(key, max);
    const answer = await client.bid(this.auction, max, key);
    if (answer.error?.temporary) return false;
    this.open.delete(key);
    const result = { max, ok: answer.ok, what: answer.verdict ?? answer.error.code, seq: answer.seq ?? answer.error.seq };
    const before = this.answered.get(key);
    // A refusal that changed nothing may be judged anew after a crash; a bid that counts is settled.
    if (before?.ok) assert.deepEqual(result, before, `${key} has another answer now`);
    this.answered.set(key, result);
    this.label = answer.label ?? this.label;
    return true;
  }

  // Until its connection ends: first what is open, then new bids; several at a time.
  async run(server) {
    const client = await Client.connect(server, this.account);
    const rest = [...this.open];
    const repeated = [...this.answered].slice(-3).map(([key, { max }]) => [key, max]);
    const lane = async () => {
      for (;;) {
        const [key, max] = rest.pop() ?? repeated.pop() ?? [`k${this.sent++}`, this.nextMax()];
        try {
          if (!await this.send(client, key, max)) return; // beyond the limit of bids, for this time
        } catch (error) {
          if (client.closed === null) throw error;
          return;
        }
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  }

  // Sends again what is open, until each has its verdict.
  async settle(server) {
    const client = await Client.connect(server, this.account);
    for (const [key, max] of [...this.open]) {
      await until(() => this.send(client, key, max), `a verdict for ${key}`);
    }
    await client.close();
  }
}

function assertOnce(bidders, ledger, bids) {
  const effects = ledger.filter(({ verdict }) => ['leading', 'outbid', 'raised'].includes(verdict.verdict));
  assert.deepEqual(ledger.map(({ seq }) => seq), ledger.map((_, i) => i + 1), 'the ledger has no gap');
  assert.deepEqual(bids.map(({ seq }) => seq).reverse(), effects.map(({ seq }) => seq), 'history and ledger agree');
  const bySeq = new Map(ledger.map((entry) => [entry.seq, entry.verdict]));
  const good = bidders.flatMap(({ answered }) => [...answered.values()]).filter(({ ok }) => ok);
  for (const { seq, what, max } of good) assert.equal(bySeq.get(seq)?.verdict, what, `${max}: acknowledged at ${seq}`);
  assert.equal(new Set(good.map(({ seq }) => seq)).size, good.length, 'no two keys share an entry');
  return good.length;
}

test(`${ROUNDS} crashes at random moments: one verdict a key, one winner`, { timeout: 170000 }, () => withServer(SETTINGS, async (server) => {
  const seller = await server.account('seller');
  const accounts = await Promise.all(Array.from({ length: BIDDERS }, (_, i) => server.account(`b${i}`)));
  const auction = await server.auction(seller, { duration_ms: DURATION_MS, soft_close: null });
  let n = 0;
  const bidders = accounts.map((account) => new Bidder(account, auction, () => 1000 + ++n * 20000));

  for (let round = 0; round < ROUNDS; round++) {
    const runs = bidders.map((bidder) => bidder.run(server));
    const before = bidders.reduce((sum, { answered }) => sum + answered.size, 0);
    await until(() => bidders.reduce((sum, { answered }) => sum + answered.size, 0) > before, 'the first answer');
    await pause(Math.random() * MOMENT_MS_MAX); // the moment is random, and no condition waits for it
    await server.kill();
    await Promise.all(runs);
    await server.run();
  }
  for (const bidder of bidders) await bidder.settle(server);

  const { seq, final_price: price, winner, bids } = await until(async () => {
    const state = await server.state(auction);
    return state.status === 'sold' && state;
  }, 'the end', END_MS_MAX);
  const ledger = await until(async () => {
    const entries = await server.ledger(auction);
    return entries.at(-1)?.seq === seq && entries;
  }, 'the whole ledger');
  const count = assertOnce(bidders, ledger, await server.bids(auction));
  assert.equal(count, bids, 'no bid took effect that nobody knows of');
  assert.ok(count >= ROUNDS, `${count} bids`);

  const best = (bidder) => Math.max(...[...bidder.answered.values()].filter(({ ok }) => ok).map(({ max }) => max));
  const [first, second] = [...bidders].sort((x, y) => best(y) - best(x));
  assert.equal(winner, first.label);
  assert.equal(price, Math.min(best(first), best(second) + 10000), 'a step of 100.00 above the best of the others');
  const { payments } = await until(async () => {
    const list = await server.call('GET', '/api/me/payments', { token: seller.token });
    return list.payments.length > 0 && list;
  }, 'the payment');
  assert.deepEqual(payments.map((payment) => [payment.auction, payment.amount]), [[auction, price]], 'one winner, one payment');

  await server.kill('SIGTERM');
  const story = execFileSync(BINARY, ['replay', auction, '--data-dir', server.folder], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  assert.match(story, new RegExp(`^${seq} entries, every link of the chain holds`, 'm'));
  assert.ok(story.includes(ledger.at(-1).chain), 'the same chain as was published');
  assert.match(story, new RegExp(`^winner +${winner} at `, 'm'));
}));
