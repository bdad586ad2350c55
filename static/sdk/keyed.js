/**
 * Commands that count once: bids, purchases, retractions. Each has a key made before its first
 * try, and is sent again under it, over whichever connection there is, until there is a verdict.
 *
 * A bid must not come as a surprise either. Once its caller's patience is over it is no longer
 * sent: one that never left fails as `not_sent`, one that did is resolved, which gives its verdict
 * or makes it void for ever.
 *
 * @module quickbid/keyed
 */
import { BACKOFF_FIRST_MS, QuickBidError, backoffMs } from "./parts.js";

export const ANSWER_MS = 6_000; // how long an answer may take before the command is sent again
const RESOLVE_MS = 4_000; // after `pending`

export class Keyed {
  #entries = new Map(); // by key
  #port;

  /** @param {object} port  isLive(), transmit(command, {answered, refused}),
   *   settled(command, verdict), unsettled({auction, key}), patienceMs, random */
  constructor(port) {
    this.#port = port;
  }

  /** Takes a command with its key; the same key again gives the same promise. */
  keep(command) {
    const known = this.#entries.get(command.key);
    if (known) return known.promise;
    const isResolving = command.do === "resolve";
    const entry = { key: command.key, command, isResolving, isSent: false, tries: 0 };
    entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    this.#entries.set(entry.key, entry);
    if (!isResolving) {
      entry.untilMs = Date.now() + this.#port.patienceMs;
      entry.patience = setTimeout(() => this.#outOfPatience(entry), this.#port.patienceMs);
    }
    this.#send(entry);
    return entry.promise;
  }

  /** There is a new connection. */
  sendAll() {
    for (const entry of [...this.#entries.values()]) this.#send(entry);
  }

  /** There is no connection. */
  pause() {
    for (const entry of this.#entries.values()) clearTimeout(entry.timer);
  }

  /** The server has no verdict for `key` yet. It may take a moment; then it must be known. */
  becamePending(key) {
    const entry = this.#entries.get(key);
    if (!entry) return;
    clearTimeout(entry.timer);
    entry.timer = setTimeout(() => {
      entry.isResolving = true;
      this.#send(entry);
    }, RESOLVE_MS);
  }

  failAll(makeError) {
    for (const entry of [...this.#entries.values()]) this.#fail(entry, makeError());
  }

  #send(entry) {
    clearTimeout(entry.timer);
    if (!this.#port.isLive() || !this.#entries.has(entry.key)) return;
    // Timers do not run while a machine sleeps; the clock does.
    if (!entry.isResolving && Date.now() >= entry.untilMs) {
      this.#outOfPatience(entry);
      return;
    }
    const { auction, key } = entry.command;
    entry.isSent = true;
    entry.timer = setTimeout(() => this.#send(entry), ANSWER_MS);
    this.#port.transmit(entry.isResolving ? { do: "resolve", auction, key } : entry.command, {
      answered: (verdict) => this.#settle(entry, verdict),
      refused: (error) => this.#refused(entry, error),
    });
  }

  #refused(entry, error) {
    if (!this.#entries.has(entry.key)) return;
    // A refusal names the state that it judged by. Anything else that is temporary was no answer.
    const isVerdict = error.seq !== undefined || error.as_of !== undefined;
    if (isVerdict || !error.temporary) {
      this.#fail(entry, error);
      return;
    }
    clearTimeout(entry.timer);
    const pauseMs = BACKOFF_FIRST_MS / 2 + backoffMs(entry.tries++, this.#port.random);
    entry.timer = setTimeout(() => this.#send(entry), Math.max(error.retry_after_ms ?? 0, pauseMs));
  }

  #outOfPatience(entry) {
    clearTimeout(entry.patience);
    if (!entry.isSent) {
      this.#fail(
        entry,
        new QuickBidError(
          "not_sent",
          "There was no connection, so nothing was sent. Try again when it is back.",
          { temporary: true },
        ),
      );
      return;
    }
    entry.isResolving = true;
    this.#port.unsettled({ auction: entry.command.auction, key: entry.key });
    this.#send(entry);
  }

  #settle(entry, verdict) {
    if (!this.#forget(entry)) return;
    this.#port.settled(entry.command, verdict);
    entry.resolve({ ...verdict, key: entry.key });
  }

  #fail(entry, error) {
    if (this.#forget(entry)) entry.reject(Object.assign(error, { key: entry.key }));
  }

  #forget(entry) {
    clearTimeout(entry.timer);
    clearTimeout(entry.patience);
    return this.#entries.delete(entry.key);
  }
}
