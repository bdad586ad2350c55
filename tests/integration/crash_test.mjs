// kill -9 under load, again and again: what was acknowledged is there exactly once.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withServer } from './kit.mjs';

const ROUNDS = Number(process.env.CRASH_ROUNDS ?? 20);
const BIDDERS = 4;

// Bids until its connection ends; every answered bid goes into `acknowledged`. The bid that was
// in flight is returned: it was promised nothing, and may have been entered all the same.
async function bidUntilCut(client, auction, who, next, acknowledged) {
  for (;;) {
    const n = next();
    const sent = { who, key: `b${who}-${n}`, max: 1000 + n * 20000 };
    let answer;
    try {
      answer = await client.bid(auction, sent.max, sent.key);
    } catch {
      return sent;
    }
    if (answer.ok) acknowledged.push({ ...sent, ...answer });
    else if (answer.error.code !== 'too_low') assert.fail(JSON.stringify(answer));
  }
}

// What became of the bids in flight: the answer to `resolve` is as binding as one to a bid.
async function settle(server, accounts, auction, inFlight, acknowledged) {
  for (const sent of inFlight) {
    const client = await Client.connect(server, accounts[sent.who]);
    const answer = await client.ask({ do: 'resolve', auction, key: sent.key });
    if (answer.ok && answer.verdict !== 'void') acknowledged.push({ ...sent, ...answer });
    else if (!answer.ok) assert.equal(answer.error.code, 'too_low', JSON.stringify(answer));
    await client.close();
  }
}

function assertOnce(acknowledged, ledger, bids) {
  const bySeq = new Map(ledger.map((entry) => [entry.seq, entry]));
  const shown = new Map(bids.map((bid) => [bid.seq, bid]));

  assert.deepEqual(ledger.map((e) => e.seq), ledger.map((_, i) => i + 1), 'the ledger has no gap');
  assert.equal(new Set(acknowledged.map((a) => a.seq)).size, acknowledged.length);
  assert.equal(shown.size, bids.length, 'no bid is listed twice');
  for (const bid of acknowledged) {
    assert.ok(bySeq.has(bid.seq), `acknowledged bid ${bid.key} (${bid.seq}) is gone`);
    assert.ok(shown.has(bid.seq), `acknowledged bid ${bid.key} (${bid.seq}) is not listed`);
    assert.equal(shown.get(bid.seq).price, bid.price);
  }
}

test(`${ROUNDS} crashes lose and double nothing`, { timeout: 240000 }, () => withServer(
  { 'bids-per-minute': 200, 'messages-per-second': 10000, 'messages-burst': 10000, 'drain-spread-ms': 0 },
  async (server) => {
    const seller = await server.account('seller');
    const accounts = await Promise.all(Array.from({ length: BIDDERS }, (_, i) => server.account(`b${i}`)));
    const auction = await server.auction(seller);
    const acknowledged = [];
    let n = 0;
    let chains = [];

    for (let round = 0; round < ROUNDS; round++) {
      const clients = await Promise.all(accounts.map((a) => Client.connect(server, a)));
      const before = acknowledged.length;
      const runs = clients.map((c, who) => bidUntilCut(c, auction, who, () => ++n, acknowledged));
      // Bids are in every stage of their path when the process dies.
      await until(() => acknowledged.length >= before + 3 + (round % 5), 'acknowledged bids');
      await server.kill();
      const inFlight = await Promise.all(runs);
      await server.run();

      const ledger = await server.ledger(auction);
      assertOnce(acknowledged, ledger, await server.bids(auction));
      assert.deepEqual(ledger.slice(0, chains.length).map((e) => e.chain), chains, 'history is the same');
      chains = ledger.map((e) => e.chain);
      await settle(server, accounts, auction, inFlight, acknowledged);
      const state = await server.state(auction);
      const best = acknowledged.reduce((x, y) => (y.max > x.max ? y : x));
      assert.ok(state.price >= best.price, 'the price of an acknowledged bid stands');
      assert.equal(state.leader, best.label, 'the greatest bid of all that were entered leads');
    }

    // The same keys again: first answers, no new entries.
    const mine = acknowledged.filter((a) => a.who === 0).slice(-5);
    const client = await Client.connect(server, accounts[0]);
    for (const bid of mine) {
      const again = await client.bid(auction, bid.max, bid.key);
      assert.deepEqual([again.seq, again.verdict], [bid.seq, bid.verdict]);
    }
    await client.close();

    const state = await server.state(auction);
    await server.kill('SIGTERM');
    const seqs = server.rows('SELECT seq FROM entries ORDER BY seq').map((row) => row.seq);
    assert.equal(new Set(seqs).size, seqs.length);
    for (const bid of acknowledged) assert.ok(seqs.includes(bid.seq), `${bid.seq} is not in the store`);
    await server.run();
    const after = await server.state(auction);
    assert.deepEqual([after.leader, after.price, after.bids, after.seq],
      [state.leader, state.price, state.bids, state.seq]);
  }));
