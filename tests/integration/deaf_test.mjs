// A replica that hears nothing from the others says so to its watchers and sends them to one that does;
// while none does, everybody stays where they are until Redis is back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import test from 'node:test';
import { Client } from './client.mjs';
import { withCluster } from './cluster.mjs';
import { EventStream } from './events.mjs';
import { Server, until } from './kit.mjs';
import { exchange, handshake } from './raw.mjs';
import { Validators } from './schemas.mjs';

const DEAF_MS = 6000; // more than two replicas differ in noticing that Redis is gone
const SETTINGS = {
  'bus-deaf-ms': DEAF_MS, 'bus-move-ms': 500, 'drain-spread-ms': 0, 'bids-per-minute': 200, 'messages-burst': 1000, threads: 2,
};
const LONG_MS = 60000;

// A way to Redis that can be stopped like a cable that is cut: nothing comes, nothing ends.
class Cable {
  static async to(address) {
    const cable = new Cable();
    const { hostname, port } = new URL(address);
    cable.links = new Set();
    cable.isCut = () => false;
    cable.server = createServer((near) => {
      const link = { near, far: connect(Number(port), hostname), name: '' };
      cable.links.add(link);
      for (const [from, to] of [[near, link.far], [link.far, near]]) {
        from.on('error', () => {});
        from.on('close', () => { to.destroy(); cable.links.delete(link); });
        from.on('data', (bytes) => {
          if (from === near && link.name === '') link.name = /quickbid-(\w+)/.exec(bytes)?.[1] ?? '';
          if (!cable.isCut(link)) to.write(bytes);
        });
      }
    });
    cable.server.listen(0, '127.0.0.1');
    await once(cable.server, 'listening');
    cable.url = new URL(address);
    cable.url.port = cable.server.address().port;
    return cable;
  }

  // What was lost on the way cannot be made good: links begin anew.
  mend() {
    this.isCut = () => false;
    for (const { near, far } of this.links) { near.destroy(); far.destroy(); }
  }

  close() {
    this.server.close();
    this.mend();
  }
}

const metric = async (server, name) => {
  const { body } = await server.request('GET', '/metrics');
  return Number(new RegExp(`^quickbid_${name} (\\d+)$`, 'm').exec(body)?.[1] ?? NaN);
};
const counts = (client, on) => client.pushes.filter((push) => push.on === on).length;
const upgrade = async (server) => (await exchange(server.port, [handshake()], (got) => got.includes('\r\n\r\n'))).toString();

test('a replica that is deaf to its bus', { timeout: 300000 }, () => withCluster(
  { parts: ['redis-single', 'rabbitmq', 'postgres-single'], replicas: 1, settings: SETTINGS }, async (cluster) => {
    const cable = await Cable.to(cluster.env.REDIS_URL);
    try {
      const [hearing] = cluster.servers;
      const deaf = await Server.start(SETTINGS, { ...cluster.env, REDIS_URL: String(cable.url) });
      cluster.servers.push(deaf);
      await cluster.open();
      const asyncapi = (await hearing.request('GET', '/api/asyncapi.json')).body;
      const validators = new Validators(asyncapi);
      const [seller, bidder] = [await hearing.account('seller'), await hearing.account('bidder')];
      const [auction, other] = [await hearing.auction(seller), await hearing.auction(seller)];
      let max = 1000;
      const watcher = async (server) => {
        const client = await Client.connect(server);
        await client.good({ do: 'watch', auction });
        return client;
      };
      const bidSeen = async (...watchers) => {
        const client = await Client.connect(hearing, bidder);
        let answer;
        await until(async () => {
          answer = await client.bid(auction, max += 1000, `key-${max}`);
          return answer.ok;
        }, () => `a bid: ${JSON.stringify(answer)}`, LONG_MS);
        for (const one of watchers) await one.push('update', (push) => push.seq >= answer.seq, LONG_MS);
        await client.close();
      };
      const away = await watcher(hearing);
      assert.equal(await metric(deaf, 'bus_deaf_shards'), 0);

      // How many watch is summed over both.
      const here = await watcher(deaf);
      const stream = await EventStream.open(deaf, auction);
      for (const one of [away, here]) await one.push('watchers', (push) => push.watchers === 3, LONG_MS);
      await until(async () => (await hearing.state(auction)).watchers === 3, 'the same over HTTP');

      // Only the bus is cut: what is shown stays right, by the look at the heads each second.
      cable.isCut = (link) => link.name === 'bus';
      await until(async () => (await metric(deaf, 'bus_deaf_shards')) === 1, 'it notices', LONG_MS);
      await bidSeen(here, away);
      const { after_ms: after } = await here.push('reconnect', () => true, LONG_MS);
      assert.ok(after < 1000, `${after}`);
      await until(() => here.closed !== null, 'it is sent away');
      assert.equal(here.closed, 1013);
      assert.equal(counts(here, 'stale'), 0, 'nothing was behind');
      assert.equal((await stream.event('close')).json.reason, 'deaf');
      assert.equal(away.closed, null, 'whoever hears keeps its own');
      const refused = await upgrade(deaf);
      assert.match(refused, /^HTTP\/1.1 503 /);
      assert.match(refused, /\r\nretry-after: [123]\r\n/i);
      const silent = await deaf.request('GET', `/api/auctions/${auction}/events`);
      assert.equal(silent.status, 503, JSON.stringify(silent.body));
      assert.deepEqual([silent.body.code, silent.body.retry_after_ms], ['deaf', Number(silent.headers.get('retry-after')) * 1000]);
      assert.equal(await deaf.status('/ready'), 200, 'the balancer asks somebody else, and HTTP goes on');
      assert.equal((await deaf.state(auction)).price, (await hearing.state(auction)).price);
      cable.mend();
      await until(async () => /^HTTP\/1.1 101 /.test(await upgrade(deaf)), 'it hears and takes watchers again', LONG_MS);

      // All of its ways to Redis are cut: what it shows may be behind.
      const again = await watcher(deaf);
      await bidSeen(again, away);
      const cutMs = Date.now();
      cable.isCut = () => true;
      const stale = await again.push('stale', () => true, LONG_MS);
      const { since_ms: since } = stale;
      assert.deepEqual(stale, { on: 'stale', since_ms: since, auctions: [auction] });
      assert.ok(since > cutMs - DEAF_MS && since < Date.now() - DEAF_MS, `as of ${since - cutMs} ms after the cut`);
      assert.equal(validators.problem(asyncapi.components.schemas.stale, stale), null);
      await until(() => again.closed !== null, 'it is sent away', LONG_MS);
      assert.equal(again.closed, 1013);
      await bidSeen(away);
      assert.equal(counts(away, 'stale'), 0);
      cable.mend();
      await until(async () => /^HTTP\/1.1 101 /.test(await upgrade(deaf)), 'it is back', LONG_MS);

      // Redis itself is away: nobody is sent anywhere, and newcomers are taken and told.
      await cluster.open();
      const stays = await watcher(deaf);
      await cluster.stack.freeze('redis-0');
      for (const one of [away, stays]) await one.push('stale', () => true, LONG_MS);
      const late = await Client.connect(hearing);
      await late.good({ do: 'watch', auction: auction });
      assert.deepEqual((await late.push('stale')).auctions, [auction]);
      assert.deepEqual([away, stays, late].map((one) => one.closed), [null, null, null], 'they stay');
      await cluster.stack.thaw('redis-0');
      for (const one of [away, stays, late]) {
        const live = await one.push('live', () => true, LONG_MS);
        assert.deepEqual(live, { on: 'live', auctions: [auction] });
      }
      await bidSeen(away, stays, late);
      await away.good({ do: 'watch', auction: other });
      assert.deepEqual([away, stays, late].map((one) => one.closed), [null, null, null], 'nobody was sent away');
      for (const one of [away, stays, late]) await one.close();
    } finally {
      cable.close();
    }
  }));
