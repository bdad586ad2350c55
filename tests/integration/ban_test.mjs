// A ban holds from its answer on, whatever is open or under way.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from './client.mjs';
import { until, withAdmin } from './kit.mjs';

const ROUNDS = 12;
const BID = 2; // of enum qb_entry_type

const numberOf = (id) => [...id].reduce((sum, digit) => sum * 32n + BigInt('0123456789abcdefghjkmnpqrstvwxyz'.indexOf(digit)), 0n);

// When each bid of an account got its place, in us: the stamp in the entry's encoding.
async function entered(server, account) {
  await until(() => server.rows('SELECT count(*) AS n FROM journal')[0].n === 0, 'all is archived');
  return server.rows('SELECT hex(bytes) AS bytes FROM entries').map((row) => Buffer.from(row.bytes, 'hex'))
    .filter((bytes) => bytes[21] === BID && bytes.readBigUInt64LE(40) === account)
    .map((bytes) => Number(bytes.readBigInt64LE(84)));
}

// Bids in auctions where it has not bid yet, so that no BLOCK helps, until all is refused.
function storm(server, auctions, account, clients) {
  const http = [0, 1, 2].map(async (lane) => {
    for (let i = 0; ; i++) {
      const answer = await server.request('POST', `/api/auctions/${auctions[i % auctions.length]}/bids`,
        { token: account.token, key: `h${lane}-${i}`, body: { max: 1000 + i, currency: 'USD' } });
      if (answer.status === 403) return;
    }
  });
  const sockets = clients.map(async (client, lane) => {
    for (let i = 0; client.closed === null; i++) {
      await client.bid(auctions[i % auctions.length], 1000 + i, `w${lane}-${i}`).catch(() => {});
    }
  });
  return Promise.all([...http, ...sockets]);
}

test('no bid is entered after the ban was answered, by an open socket or a token', { timeout: 120000 }, () => withAdmin(
  { threads: 4, 'messages-per-second': 100000, 'messages-burst': 100000, 'bids-per-minute': 200, 'auth-attempts': 1000 },
  async (server, admin) => {
    const seller = await server.account('seller');
    for (let round = 0; round < ROUNDS; round++) {
      const auctions = await Promise.all(Array.from({ length: 8 }, () => server.auction(seller)));
      const ann = await server.account(`ann${round}`);
      const clients = await Promise.all(Array.from({ length: 6 }, () => Client.connect(server, ann)));
      const over = storm(server, auctions, ann, clients);
      await until(async () => (await server.state(auctions[0])).bids > 0, 'the storm');
      const answer = await server.request('POST', `/api/users/${ann.id}/ban`, { token: admin });
      const answeredMs = Date.now(); // of this machine, as are the stamps
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      await over;
      for (const client of clients) assert.equal(client.closed, 4003);
      await assert.rejects(Client.connect(server, ann), /banned/);
      const stamps = await entered(server, numberOf(ann.id));
      assert.ok(stamps.length > 0);
      for (const us of stamps) assert.ok(us / 1000 < answeredMs + 1, `${us} is after ${answeredMs}`);
    }
  }));
