// A reader of server-sent events over a plain socket, as HTML's "event stream" is defined: no
// library, so that nothing reconnects or mends by itself.
import { connect } from 'node:net';
import { once } from 'node:events';
import { until } from './kit.mjs';

function parseEvent(block) {
  const event = { event: 'message', data: '' };
  for (const line of block.split('\n')) {
    if (line.startsWith(':')) event.isComment = true;
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field !== undefined) event[field] = value;
  }
  if (event.data !== '') event.json = JSON.parse(event.data);
  return event;
}

export class EventStream {
  // `fields` are further headers; `token` is sent as a bearer token.
  static async open(server, auction, { lastId, token, fields = {}, isDeaf = false } = {}) {
    const stream = new EventStream();
    const all = { Host: '127.0.0.1', ...fields };
    if (lastId !== undefined) all['Last-Event-ID'] = lastId;
    if (token !== undefined) all.Authorization = `Bearer ${token}`;
    stream.text = '';
    stream.events = [];
    stream.heartbeats = 0;
    stream.isEnded = false;
    stream.socket = connect(server.port, '127.0.0.1');
    stream.socket.setEncoding('utf8');
    stream.socket.on('data', (text) => stream.take(text));
    stream.socket.on('error', () => { stream.isBroken = true; });
    for (const name of ['end', 'close']) stream.socket.on(name, () => { stream.isEnded = true; });
    await once(stream.socket, 'connect');
    if (isDeaf) stream.socket.pause();
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    stream.socket.write(`GET /api/auctions/${auction}/events HTTP/1.1\r\n${lines.join('')}\r\n`);
    if (!isDeaf) await until(() => stream.status !== undefined, 'the head of the stream');
    return stream;
  }

  take(text) {
    this.text += text;
    if (this.status === undefined) {
      const end = this.text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const [line, ...lines] = this.text.slice(0, end).split('\r\n');
      this.status = Number(line.split(' ')[1]);
      this.fields = Object.fromEntries(lines.map((l) => [l.split(':')[0].toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]));
      this.text = this.text.slice(end + 4);
    }
    if (this.status !== 200) return;
    for (let end = this.text.indexOf('\n\n'); end >= 0; end = this.text.indexOf('\n\n')) {
      const event = parseEvent(this.text.slice(0, end));
      this.text = this.text.slice(end + 2);
      if (event.isComment) this.heartbeats++;
      else this.events.push(event);
    }
  }

  // The first event of that name that came or comes and fits.
  event(name, fits = () => true) {
    return until(() => this.events.find((e) => e.event === name && fits(e.json)),
      () => `event ${name}; came: ${JSON.stringify(this.events.slice(-3))}`);
  }

  async ended() { await until(() => this.isEnded, 'the end of the stream'); }

  close() { this.socket.destroy(); }
}
