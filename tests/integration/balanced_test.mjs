// The whole cluster of one machine, as ./dev run --cluster starts it: whoever comes through nginx sees
// one truth, survives the death of a replica, and a stop leaves nothing.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { chromium } from 'playwright-core';
import { Client } from './client.mjs';
import { Bidder, check } from './cluster.mjs';
import { BINARY, Server, until } from './kit.mjs';
import { tryLogin } from './peers.mjs';
import { Stack } from './stack.mjs';

const CHROMIUM = process.env.QB_TEST_CHROMIUM ?? '/usr/bin/chromium';
const REPLICAS = ['replica-1', 'replica-2', 'replica-3'];
Object.assign(process.env, {
  QB_BINARY: BINARY, QUICKBID_BIDS_PER_MINUTE: '200', QUICKBID_MESSAGES_BURST: '10000', QUICKBID_DRAIN_SPREAD_MS: '0',
  QUICKBID_AUTH_ATTEMPTS: '20', // more than the accounts of these tests
});

// Who listens on a port, in the words of the other tests.
const at = (port) => Object.assign(new Server(), { port, isOver: false });

// Processes that run for the folder.
function processesOf(folder) {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid).filter((pid) => {
    try {
      return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(folder));
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

async function websockets(server) {
  const { body } = await server.request('GET', '/metrics');
  return Number(/^quickbid_connections\{kind="websocket"\} (\d+)$/m.exec(body)?.[1] ?? 0);
}

// A person at the address of nginx, with an account made on the page: cookie, origin and all.
async function person(browser, address, name) {
  const page = await (await browser.newContext({ locale: 'en-US', timezoneId: 'UTC' })).newPage();
  page.setDefaultTimeout(30000);
  await page.goto(`${address}/join`);
  await page.getByLabel('Email').fill(`${name}@page.example`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('correct horse battery');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByRole('link', { name: 'My bids' }).waitFor();
  return page;
}

const priceIs = (page, text) => until(async () => (await page.locator('.big-price').textContent()) === text, `the price ${text}`);

test('a cluster behind nginx', { timeout: 380000 }, async (t) => {
  const stack = await Stack.start('all');
  let browser = null;
  try {
    const address = stack.values.BALANCER_URL;
    const ports = await stack.status();
    const front = at(Number(new URL(address).port));
    const all = REPLICAS.map((name) => at(ports[name].port));
    const seller = await front.account('seller');
    const accounts = [];
    for (let i = 0; i < 6; i++) accounts.push(await front.account(`bidder${i}`));

    await t.test('a bid through nginx is seen at every replica', async () => {
      const auction = await front.auction(seller, { start_price: 1000 });
      const watchers = await Promise.all(all.map((server) => Client.connect(server)));
      for (const watcher of watchers) await watcher.good({ do: 'watch', auction });
      const client = await Client.connect(front, accounts[0]);
      const answer = await client.bid(auction, 5000, 'first');
      assert.equal(answer.verdict, 'leading');
      for (const watcher of watchers) {
        const update = await watcher.push('update', (push) => push.auction === auction && push.seq === answer.seq);
        assert.equal(update.price, 1000);
      }
      for (const one of [client, ...watchers]) await one.close();
    });

    await t.test('nginx spreads clients, and opens nothing that is for this machine', async () => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => Client.connect(front, accounts[0])));
      for (const server of all) await until(async () => await websockets(server) > 0, `a client at ${server.port}`);
      for (const client of clients) await client.close();
      assert.equal((await front.request('GET', '/metrics')).status, 404);
      assert.equal(statSync(join(stack.folder, 'token.key')).mode & 0o777, 0o600);
    });

    await t.test('S54: clients of nginx have limits of their own, over all replicas, and forge none', async () => {
      const codes = [];
      // Those that are near the limit may be told to ask again in a moment, until replicas have spoken.
      await until(async () => {
        const forged = { 'x-forwarded-for': `203.0.113.${codes.length}`, 'x-real-ip': `203.0.113.${codes.length}`, forwarded: `for=203.0.113.${codes.length}` };
        const answer = await tryLogin('127.0.0.2', front.port, forged);
        codes.push(answer.status);
        assert.ok([401, 429, 503].includes(answer.status), JSON.stringify(answer));
        return answer.status === 429 && answer.body.retry_after_ms > 60000;
      }, () => `the limit: ${codes}`, 60000);
      const judged = codes.filter((code) => code === 401).length;
      assert.ok(judged > 5 && judged <= 20, `one limit for all replicas: ${codes}`);
      assert.equal((await tryLogin('127.0.0.3', front.port)).status, 401, 'another address');
      assert.equal((await tryLogin('127.0.0.2', front.port)).status, 429);
    });

    await t.test('pages of a browser see each other through the death of a replica', { skip: !existsSync(CHROMIUM) }, async () => {
      const auction = await front.auction(seller, { start_price: 1000 });
      browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--lang=en-US'] });
      const pages = [await person(browser, address, 'ann'), await person(browser, address, 'bob'), await person(browser, address, 'eve')];
      for (const page of pages) {
        await page.goto(`${address}/a/${auction}`);
        await page.locator('.live.on').waitFor();
      }
      // Those of earlier clients may not have been noticed as gone yet.
      const counts = await until(async () => {
        const now = await Promise.all(all.map(websockets));
        return now.reduce((sum, count) => sum + count) === pages.length && now;
      }, 'the pages and nobody else');
      assert.ok(counts.filter((count) => count > 0).length >= 2, `on different replicas: ${counts}`);
      const [ann, bob] = pages;
      await ann.getByRole('button', { name: 'Bid $10.00' }).click();
      for (const page of pages) await priceIs(page, '$10.00');
      await bob.getByLabel('Your maximum').fill('25');
      await bob.getByRole('button', { name: 'Bid up to this' }).click();
      for (const page of pages) await priceIs(page, '$10.50');
      await stack.kill(REPLICAS[counts.indexOf(Math.max(...counts))]);
      await ann.getByLabel('Your maximum').fill('20');
      await until(async () => {
        await ann.getByRole('button', { name: /Bid up to this|Raise maximum/ }).click();
        return (await ann.locator('.big-price').textContent()) === '$20.50';
      }, 'the bid after the crash', 30000);
      for (const page of pages) await priceIs(page, '$20.50');
      await browser.close();
      for (const name of REPLICAS) await stack.revive(name);
    });

    await t.test('kill -9 of a replica under load', async () => {
      const auctions = [await front.auction(seller), await front.auction(seller)];
      const acknowledged = [];
      let max = 1000;
      // All of them know one address only.
      const bidders = accounts.map((account) => new Bidder({ servers: [front] }, account, auctions, acknowledged));
      const runs = bidders.map((bidder) => bidder.run(() => (max += 1000)));
      await until(() => acknowledged.length > 30, 'bids before', 30000);
      const counts = await Promise.all(all.map(websockets));
      const victim = REPLICAS[counts.indexOf(Math.max(...counts))];
      const first = bidders.map((bidder) => bidder.client);
      await stack.kill(victim);
      await until(() => first.some((client) => client.closed !== null), 'a client that lost its replica');
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 60, () => `bids after (${acknowledged.length - before})`, 60000);
      const lost = bidders.filter((bidder, i) => bidder.client !== first[i]).length;
      assert.ok(lost > 0 && lost < bidders.length, `only those of the dead one came back anew: ${lost}`);
      for (const bidder of bidders) bidder.isStopped = true;
      await Promise.all(runs);
      await stack.revive(victim);
      await check({ servers: all }, auctions, acknowledged);
    });

    await t.test('a stop drains, and leaves no process', async () => {
      assert.notEqual(processesOf(stack.folder).length, 0, 'they can be found');
      await stack.down();
      assert.deepEqual(processesOf(stack.folder), []);
      for (const name of REPLICAS) {
        const last = JSON.parse(readFileSync(join(stack.folder, 'log', name), 'utf8').trim().split('\n').at(-1));
        assert.deepEqual([last.event, last.clean], ['server.stopped', 1], name);
      }
      for (const name of ['persister-1', 'persister-2']) assert.match(readFileSync(join(stack.folder, 'log', name), 'utf8'), /"persist\.stopped",[^\n]*\n$/);
    });
  } catch (error) {
    for (const name of REPLICAS) error.message += `\n${name}: ${readFileSync(join(stack.folder, 'log', name), 'utf8').slice(-1500)}`;
    throw error;
  } finally {
    await browser?.close();
    stack.stop();
  }
});
