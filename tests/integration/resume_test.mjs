// Whoever loses the connection in the middle of a storm comes back from (epoch, seq) and gets
// exactly what was missed: no gap, nothing twice, nothing backwards.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const FAST = { 'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000 };
const BIDDERS = 4;
const EACH = 100;
const STEP = 20000;

const isAfter = (a, b) => a.epoch > b.epoch || (a.epoch === b.epoch && a.seq > b.seq);

// An auction and its bidders; `storm(count)` lets each of them bid so often, all at once.
async function stage(server) {
  const seller = await server.account('seller');
  const accounts = await Promise.all(Array.from({ length: BIDDERS }, (_, i) => server.account(`b${i}`)));
  const auction = await server.auction(seller);
  const clients = await Promise.all(accounts.map((account) => Client.connect(server, account)));
  let n = 0;
  const storm = async (count) => {
    await Promise.all(clients.map(async (client, who) => {
      for (let i = 0; i < count; i++) {
        const answer = await client.bid(auction, 1000 + ++n * STEP, `k${who}-${i}-${n}`);
        assert.ok(answer.ok || answer.error.code === 'too_low', JSON.stringify(answer));
      }
    }));
  };
  return { auction, clients, storm };
}

// The seqs of all accepted bids, from the ledger, once it holds `bids` of them.
async function accepted(server, auction) {
  const { bids, seq } = await server.state(auction);
  const ledger = await until(async () => {
    const entries = await server.ledger(auction);
    return entries.at(-1)?.seq >= seq && entries;
  }, 'the whole ledger');
  const seqs = ledger.filter(({ verdict }) => ['leading', 'outbid', 'raised'].includes(verdict.verdict)).map((e) => e.seq);
  assert.equal(seqs.length, bids);
  return seqs;
}

test('cut off and back, again and again, in a storm of bids', { timeout: 120000 }, () => withServer(FAST, async (server) => {
  const { auction, clients, storm } = await stage(server);
  let watcher = await Client.connect(server);
  let { state: at } = await watcher.good({ do: 'watch', auction });
  const returns = [];
  let isOver = false;
  const run = storm(EACH).then(() => { isOver = true; });
  while (!isOver) {
    // Applied as clients do: only what is newer. Frames in between may be folded.
    const mark = at;
    await until(() => isOver || watcher.pushes.some((p) => p.on === 'update' && p.seq >= mark.seq + 5), 'updates');
    for (const update of watcher.pushes.filter((p) => p.on === 'update')) {
      assert.ok(isAfter(update, at), `${update.epoch}.${update.seq} after ${at.epoch}.${at.seq}`);
      at = update;
    }
    await watcher.cut();
    watcher = await Client.connect(server);
    const back = await watcher.good({ do: 'watch', auction, epoch: at.epoch, seq: at.seq });
    assert.equal(back.result, 'missed');
    returns.push({ from: at.seq, to: back.state.seq, missed: back.missed });
    at = back.state;
  }
  await run;
  assert.ok(returns.length >= 3, `${returns.length} returns`);

  const all = await accepted(server, auction);
  assert.ok(all.length >= 100, `${all.length} bids took effect`);
  for (const { from, to, missed } of returns) {
    assert.deepEqual(missed.map(({ seq }) => seq), all.filter((seq) => seq > from && seq <= to), `${from} to ${to}`);
    const counts = missed.map(({ bids }) => bids);
    assert.deepEqual(counts, counts.map((_, i) => counts[0] + i), 'each bid counts one more');
  }
  const { seq } = await server.state(auction);
  await until(() => at.seq === seq || watcher.pushes.some((p) => p.on === 'update' && p.seq === seq), 'the newest state');
  await Promise.all([...clients, watcher].map((client) => client.close()));
}));

test('several hundred missed bids come in one answer', { timeout: 120000 }, () => withServer(FAST, async (server) => {
  const { auction, clients, storm } = await stage(server);
  const watcher = await Client.connect(server);
  const { state: at } = await watcher.good({ do: 'watch', auction });
  await watcher.cut();
  await storm(EACH);
  const back = await Client.connect(server);
  const answer = await back.good({ do: 'watch', auction, epoch: at.epoch, seq: at.seq });
  assert.equal(answer.result, 'missed');
  assert.deepEqual(answer.missed.map(({ seq }) => seq), await accepted(server, auction));
  const none = await back.good({ do: 'watch', auction, epoch: answer.state.epoch, seq: answer.state.seq });
  assert.deepEqual([none.result, none.missed], ['missed', []], 'who has all has missed nothing');
  await Promise.all([...clients, back].map((client) => client.close()));
}));

test('a position too old, unknown or from the future: the whole state', () => withServer(
  { ...FAST, 'ring-entries': 16 }, async (server) => {
    const { auction, clients, storm } = await stage(server);
    const watcher = await Client.connect(server);
    const { state: at } = await watcher.good({ do: 'watch', auction });
    await storm(10);
    const { epoch, seq, bids } = await server.state(auction);
    for (const position of [
      { epoch: at.epoch, seq: at.seq }, { epoch, seq: seq + 1 }, { epoch: epoch + 1, seq }, { epoch: 0, seq: 0 },
      { epoch, seq: Number.MAX_SAFE_INTEGER },
    ]) {
      const comer = await Client.connect(server);
      const answer = await comer.good({ do: 'watch', auction, ...position });
      await comer.close();
      assert.deepEqual([answer.result, answer.missed, answer.state.seq, answer.state.bids],
        ['snapshot', undefined, seq, bids], JSON.stringify(position));
    }
    const near = await watcher.good({ do: 'watch', auction, epoch, seq: seq - 1 });
    assert.equal(near.result, 'missed');
    await watcher.refused({ do: 'watch', auction, epoch }, 'missing_field');
    await Promise.all([...clients, watcher].map((client) => client.close()));
  }));

test('a position from before a crash is still good for all that was acknowledged', () => withServer(FAST, async (server) => {
  const { auction, clients, storm } = await stage(server);
  const watcher = await Client.connect(server);
  await watcher.good({ do: 'watch', auction });
  await storm(5);
  const { seq } = await server.state(auction);
  const at = await watcher.push('update', (update) => update.seq === seq);
  await server.kill();
  await server.run();
  const back = await Client.connect(server);
  const answer = await back.good({ do: 'watch', auction, epoch: at.epoch, seq: at.seq });
  assert.ok(answer.state.seq >= at.seq, 'nothing seen is taken back');
  assert.ok(isAfter(answer.state, at) || answer.state.seq === at.seq);
  assert.equal(answer.state.price, at.price);
  if (answer.result === 'missed') assert.deepEqual(answer.missed, []);
  await Promise.all([...clients, watcher, back].map((client) => client.close()));
}));
