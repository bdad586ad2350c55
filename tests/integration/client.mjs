// A client of the protocol on the public package `ws`, which is not the client module of the
// product: both ends would share a misunderstanding.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import WebSocket from 'ws';
import { DEADLINE_MS, until } from './kit.mjs';

export class Client {
  static async connect(server, account, options = {}) {
    const client = new Client();
    client.pushes = [];
    client.waiting = new Map();
    client.lastId = 0;
    client.closed = null;
    client.socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, 'quickbid.v1', options);
    client.socket.on('message', (data) => client.take(JSON.parse(data)));
    client.socket.on('close', (code) => {
      client.closed = code;
      for (const { reject } of client.waiting.values()) reject(new Error(`closed with ${code}`));
      client.waiting.clear();
    });
    client.socket.on('error', () => {}); // a broken connection also closes
    await Promise.race([once(client.socket, 'open'), once(client.socket, 'close').then(([code]) => {
      throw new Error(`no connection: ${code}`);
    })]);
    if (account) await client.good({ do: 'auth', token: account.token });
    return client;
  }

  take(message) {
    if (message.on) {
      this.pushes.push(message);
      return;
    }
    const waiter = this.waiting.get(message.id);
    assert.ok(waiter, `an answer nobody waits for: ${JSON.stringify(message)}`);
    this.waiting.delete(message.id);
    waiter.resolve(message);
  }

  // The answer, good or not; rejects when the connection ends before.
  ask(command) {
    const id = ++this.lastId;
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.socket.send(JSON.stringify({ id, ...command }));
    return answer;
  }

  async good(command) {
    const answer = await this.ask(command);
    assert.equal(answer.ok, true, JSON.stringify(answer));
    return answer;
  }

  async refused(command, code) {
    const answer = await this.ask(command);
    assert.equal(answer.error?.code, code, JSON.stringify(answer));
    return answer.error;
  }

  bid(auction, max, key) { return this.ask({ do: 'bid', auction, max, currency: 'USD', key }); }

  // The first push that came or comes and fits.
  push(on, fits = () => true, deadlineMs = DEADLINE_MS) {
    return until(() => this.pushes.find((p) => p.on === on && fits(p)),
      () => `push ${on}; came: ${JSON.stringify(this.pushes.slice(-3))}`, deadlineMs);
  }

  async close() {
    if (this.closed !== null) return;
    this.socket.close();
    await until(() => this.closed !== null, 'close');
  }

  // As if the cable were cut: no close frame.
  async cut() {
    this.socket.terminate();
    await until(() => this.closed !== null, 'close');
  }
}
