// HTTP and WebSocket by hand over a plain socket, one answer at a time: what a library would
// refuse to send. No library, so that every byte is the test's.
import { once } from 'node:events';
import { connect } from 'node:net';

const DEADLINE_MS = 5000;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

// The head of a good handshake, and the same with lines changed, left out or put in.
export function handshake({ line = 'GET /ws HTTP/1.1', fields = {}, without = [], also = [] } = {}) {
  const all = {
    Host: '127.0.0.1', Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': KEY, 'Sec-WebSocket-Protocol': 'quickbid.v1', ...fields,
  };
  for (const name of without) delete all[name];
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return [line, ...lines, ...also, '', ''].join('\r\n');
}

function lengthBytes(length, form) {
  if (form === 7) return [Buffer.alloc(0), Number(length)];
  const bytes = Buffer.alloc(form === 16 ? 2 : 8);
  if (form === 16) bytes.writeUInt16BE(Number(length));
  else bytes.writeBigUInt64BE(BigInt(length));
  return [bytes, form === 16 ? 126 : 127];
}

// One frame of a client with its whole first byte. `form` (7, 16, 64) forces a form of the length,
// `says` a length that is not the payload's.
export function rawFrame(first, payload = '', { isMasked = true, mask = [1, 2, 3, 4], says, form } = {}) {
  const body = Buffer.from(payload);
  const length = says ?? body.length;
  const [extra, short] = lengthBytes(length, form ?? (length < 126 ? 7 : length < 65536 ? 16 : 64));
  const head = Buffer.from([first, (isMasked ? 0x80 : 0) | short]);
  if (!isMasked) return Buffer.concat([head, extra, body]);
  return Buffer.concat([head, extra, Buffer.from(mask), body.map((byte, at) => byte ^ mask[at % 4])]);
}

export function frame(opcode, payload, { final = true, reserved = 0, ...options } = {}) {
  return rawFrame((final ? 0x80 : 0) | (reserved << 4) | opcode, payload, options);
}

export const maskedText = (text) => frame(TEXT, text);

// The first frame in what a server sent, and how long it is; null while it is not whole.
function parseFrame(bytes) {
  if (bytes.length < 2) return null;
  let length = bytes[1] & 0x7f;
  let head = 2;
  if (length === 126 && bytes.length >= 4) [length, head] = [bytes.readUInt16BE(2), 4];
  else if (length >= 126) return null;
  if (bytes.length < head + length) return null;
  return { opcode: bytes[0] & 0x0f, payload: bytes.subarray(head, head + length), size: head + length };
}

// The frames of a server behind its handshake.
export function framesOf(bytes) {
  const end = bytes.indexOf('\r\n\r\n');
  const frames = [];
  let rest = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
  for (let next = parseFrame(rest); next !== null; next = parseFrame(rest)) {
    frames.push(next);
    rest = rest.subarray(next.size);
  }
  return frames;
}

export function closeFrame(code, reason = '') {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return frame(CLOSE, Buffer.concat([bytes, Buffer.from(reason)]));
}

// A socket whose bytes are waited for, never slept for.
export class RawSocket {
  static async open(port) {
    const raw = new RawSocket();
    raw.socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    raw.bytes = Buffer.alloc(0);
    raw.isEnded = false;
    raw.socket.on('data', (bytes) => {
      raw.bytes = Buffer.concat([raw.bytes, bytes]);
      raw.wake?.();
    });
    const end = () => {
      raw.isEnded = true;
      raw.wake?.();
    };
    raw.socket.on('end', end).on('error', end).on('close', end);
    await once(raw.socket, 'connect');
    return raw;
  }

  send(bytes) {
    if (!this.socket.destroyed) this.socket.write(bytes);
  }

  close() {
    this.socket.destroy();
  }

  // Waits until `look` finds something, or the server has ended: then null.
  async wait(look) {
    let timer;
    const deadline = new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('nothing came within the deadline')), DEADLINE_MS);
    });
    try {
      for (;;) {
        const found = look();
        if (found !== null) return found;
        if (this.isEnded) return null;
        await Promise.race([new Promise((resolve) => { this.wake = resolve; }), deadline]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  take(length) {
    const taken = this.bytes.subarray(0, length);
    this.bytes = this.bytes.subarray(length);
    return taken;
  }

  // The next answer: { status, fields, body }, or null when the server has ended.
  response() {
    return this.wait(() => {
      const end = this.bytes.indexOf('\r\n\r\n');
      if (end < 0) return null;
      const [line, ...lines] = this.bytes.subarray(0, end).toString('latin1').split('\r\n');
      const fields = Object.fromEntries(
        lines.map((text) => [text.split(':')[0].toLowerCase(), text.slice(text.indexOf(':') + 1).trim()]));
      const length = Number(fields['content-length'] ?? 0);
      if (this.bytes.length < end + 4 + length) return null;
      this.take(end + 4);
      return { status: Number(line.split(' ')[1]), fields, body: this.take(length).toString() };
    });
  }

  // The next frame of the server: { opcode, payload }, or null when it has ended.
  frame() {
    return this.wait(() => {
      const next = parseFrame(this.bytes);
      if (next !== null) this.take(next.size);
      return next;
    });
  }

  // Waits for the server's end of the connection.
  ended() {
    return this.wait(() => (this.isEnded ? true : null));
  }
}

// Sends all at once and reads until `isDone(bytes)`, the end of the connection or the deadline:
// then what came is the answer.
export async function exchange(port, pieces, isDone) {
  const raw = await RawSocket.open(port);
  raw.send(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
  await raw.wait(() => (isDone(raw.bytes) ? true : null)).catch(() => {});
  raw.close();
  return raw.bytes;
}

// A plain socket whose handshake is answered, for what RawSocket would do by itself: read.
export async function openWebSocket(port) {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(handshake());
  await once(socket, 'data');
  return socket;
}
