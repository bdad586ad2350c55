/**
 * The parts of the client that need no connection: its errors, keys, order of states, delays and
 * the estimate of the server's clock. Nothing here keeps a timer.
 *
 * @module quickbid/parts
 */

/** Why something was not done: `code` for programs, `message` for people. */
export class QuickBidError extends Error {
  /** @param {string} code  the server's, or not_sent, disconnected, closed, timeout, too_many.
   *  @param {string} message  @param {object} [details]  e.g. minimum, retry_after_ms, key */
  constructor(code, message, details = {}) {
    super(message);
    Object.assign(this, details);
    this.name = "QuickBidError";
    this.code = code;
    this.temporary = Boolean(details.temporary);
  }
}

export const BACKOFF_FIRST_MS = 500;
const BACKOFF_MOST_MS = 30_000;
const POLITE_MS = 5_000; // before coming back to a server that asked to be left alone
const SAMPLES = 8;

/** A new idempotency key: 128 random bits. @returns {string} */
export function newKey() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether `next` says something newer than `known`. Equal positions are the same fold; the later
 *  one may be more durable, or have been opened by the clock alone. */
export function isNewer(known, next) {
  if (!known) return true;
  if (next.epoch !== known.epoch) return next.epoch > known.epoch;
  if (next.seq !== known.seq) return next.seq > known.seq;
  return next.dur >= known.dur && next.now_ms >= known.now_ms;
}

/** How long to wait before attempt number `attempt` (from 0): full jitter. */
export function backoffMs(attempt, random = Math.random) {
  return random() * Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10));
}

/** What to do about a close code: {retry, waitMs?, renew?}. `waitMs` is a lower bound. */
export function planAfterClose(code) {
  if (code === 4001) return { retry: true, renew: true, waitMs: 0 };
  if (code >= 4000 && code < 4100) return { retry: false };
  if (code >= 4100 && code < 4200) return { retry: true, waitMs: POLITE_MS };
  if (code >= 4200 && code < 4300) return { retry: true, now: true };
  if (code === 1013 || code === 1008 || code === 1011) return { retry: true, waitMs: POLITE_MS };
  return { retry: true, waitMs: 0 };
}

/** The server's clock, estimated from round trips: the best of the last few counts. */
export class Clock {
  samples = [];
  offsetMs = 0;
  errorMs = Infinity; // the offset is right to within so much

  add(sentMs, receivedMs, serverMs) {
    const errorMs = (receivedMs - sentMs) / 2;
    if (errorMs < 0) return;
    this.samples.push({ offsetMs: serverMs - (sentMs + receivedMs) / 2, errorMs });
    if (this.samples.length > SAMPLES) this.samples.shift();
    const best = this.samples.reduce((a, b) => (b.errorMs < a.errorMs ? b : a));
    this.offsetMs = best.offsetMs;
    this.errorMs = best.errorMs;
  }

  /** A time seen in an update: all there is before the first round trip. */
  hint(receivedMs, serverMs) {
    if (this.samples.length === 0) this.offsetMs = serverMs - receivedMs;
  }

  /** The machine slept or its clock was set: what was measured before says nothing. */
  forget() {
    this.samples = [];
    this.errorMs = Infinity;
  }
}
