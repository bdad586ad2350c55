// Auctions whose end fell into a downtime go on for 30 seconds, however many they are.
import assert from 'node:assert/strict';
import test from 'node:test';
import { until, withServer } from './kit.mjs';

const AUCTIONS = 1300; // more than there is room for commands under way

test('all auctions that ended while the server was down are extended, and none is closed', { timeout: 120000 }, () => withServer(
  { threads: 1, 'commands-max': 1024, 'auctions-per-seller': AUCTIONS, 'auctions-per-day': AUCTIONS }, async (server) => {
    const seller = await server.account('seller');
    const endsMs = Date.now() + 25000;
    const lane = async (count) => {
      for (let i = 0; i < count; i++) await server.auction(seller, { ends_at_ms: endsMs });
    };
    await Promise.all(Array.from({ length: 20 }, () => lane(AUCTIONS / 20)));
    assert.ok(Date.now() < endsMs, 'all are open before they end');
    await server.kill();
    await until(() => Date.now() > endsMs + 1000, 'the end passes', 60000);
    const startedMs = Date.now();
    await server.run();
    const listed = async (phase) => {
      const all = [];
      for (let next = ''; next !== null;) {
        const page = await server.call('GET', `/api/auctions?phase=${phase}&limit=100${next}`);
        all.push(...page.auctions);
        next = page.next === null ? null : `&after=${encodeURIComponent(page.next)}`;
      }
      return all;
    };
    const isDone = async () => (await listed('live')).every((auction) => auction.ends_at_ms >= startedMs + 30000);
    await until(isDone, 'all are extended', 20000);
    assert.equal((await listed('live')).length, AUCTIONS);
    const { ends_at_ms: end, status } = await server.state((await listed('live'))[0].id);
    assert.equal(status, 'open');
    assert.ok(end < Date.now() + 30000);
  }));
