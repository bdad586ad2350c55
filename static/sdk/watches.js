/**
 * The auctions that a client follows: each at the newest state known, asked for again from there
 * after every reconnect. Commands go out a few at a time, so that a long list on screen does not
 * use up what one connection may send.
 *
 * @module quickbid/watches
 */
import { isNewer } from "./parts.js";

const BATCH = 8;
const BATCH_EVERY_MS = 500;
const RETRY_MS = 2_000;

export class Watches {
  #watches = new Map(); // auction -> {auction, state, you, isLive, isBehind, listeners}
  #dirty = new Set(); // auctions about which the server must be told something
  #timer;
  #port;

  /** @param {object} port  isLive(), ask(command), hint(serverMs) */
  constructor(port) {
    this.#port = port;
  }

  /** Follows `auction` for one more listener. Returns a function that stops it. */
  add(auction, listener, onError) {
    const entry = { listener, onError };
    let watch = this.#watches.get(auction);
    if (!watch) {
      watch = { auction, state: null, you: null, listeners: new Set() };
      Object.assign(watch, { isLive: false, isBehind: false });
      this.#watches.set(auction, watch);
      this.#mark(auction);
    } else if (watch.state) {
      queueMicrotask(() => watch.listeners.has(entry) && listener(this.#sight(watch, [])));
    }
    watch.listeners.add(entry);
    return () => {
      if (!watch.listeners.delete(entry) || watch.listeners.size > 0) return;
      this.#watches.delete(auction);
      this.#mark(auction);
    };
  }

  /** There is a new connection: it follows nothing yet. */
  sendAll() {
    this.#dirty = new Set(this.#watches.keys());
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#send();
  }

  /** There is no connection: what is known is as of its time from now on. */
  pause() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const watch of this.#watches.values()) {
      watch.isBehind = false; // the next server may hear what this one does not
      if (!watch.isLive) continue;
      watch.isLive = false;
      this.#tell(watch, []);
    }
  }

  /** The server hears nothing of these auctions, or hears of them again. */
  setBehind(auctions, isBehind) {
    for (const auction of auctions) {
      const watch = this.#watches.get(auction);
      if (!watch || watch.isBehind === isBehind) continue;
      watch.isBehind = isBehind;
      if (watch.state) this.#tell(watch, []);
    }
  }

  get isBehind() {
    return [...this.#watches.values()].some((watch) => watch.isBehind);
  }

  /** Somebody else is here now: labels and maxima were the former person's. */
  forgetYou() {
    for (const watch of this.#watches.values()) watch.you = null;
  }

  /** The server pushed a state. */
  update(state) {
    const watch = this.#watches.get(state.auction);
    if (!watch || !isNewer(watch.state, state)) return;
    watch.state = state;
    this.#tell(watch, []);
  }

  /** The server pushed how many watch. */
  crowd(auction, watchers) {
    const watch = this.#watches.get(auction);
    if (!watch?.state || watch.state.watchers === watchers) return;
    watch.state = { ...watch.state, watchers };
    this.#tell(watch, []);
  }

  outbid(auction) {
    const watch = this.#watches.get(auction);
    if (watch?.you) watch.you = { label: watch.you.label };
  }

  /** A verdict tells who you are here, and whether the maximum that it was about leads. */
  learn(command, { verdict, label }) {
    const watch = this.#watches.get(command.auction);
    if (!watch || !label) return;
    const isLeading = verdict === "leading" || verdict === "raised";
    watch.you = isLeading && command.max !== undefined ? { label, max: command.max } : { label };
    if (watch.state) this.#tell(watch, []);
  }

  #mark(auction) {
    this.#dirty.add(auction);
    // Whoever asks for several in a row gets them in one go.
    this.#timer ??= setTimeout(() => this.#send(), 0);
  }

  #send() {
    this.#timer = undefined;
    if (!this.#port.isLive()) return;
    for (const auction of [...this.#dirty].slice(0, BATCH)) {
      this.#dirty.delete(auction);
      const watch = this.#watches.get(auction);
      if (watch) this.#watch(watch);
      else this.#port.ask({ do: "unwatch", auction }).catch(() => {});
    }
    if (this.#dirty.size > 0) this.#timer = setTimeout(() => this.#send(), BATCH_EVERY_MS);
  }

  #watch(watch) {
    const { auction, state } = watch;
    const position = state ? { epoch: state.epoch, seq: state.seq } : {};
    const isCurrent = () => this.#watches.get(auction) === watch;
    this.#port.ask({ do: "watch", auction, ...position }).then(
      (answer) => {
        if (!isCurrent()) return;
        this.#port.hint(answer.state.now_ms);
        watch.isLive = true;
        watch.you = answer.you ?? null;
        if (isNewer(watch.state, answer.state)) watch.state = answer.state;
        this.#tell(watch, answer.missed ?? []);
      },
      (error) => {
        if (!isCurrent() || error.code === "disconnected") return;
        if (error.temporary) {
          setTimeout(() => isCurrent() && this.#mark(auction), error.retry_after_ms ?? RETRY_MS);
        } else {
          for (const { onError } of watch.listeners) onError?.(error);
        }
      },
    );
  }

  #tell(watch, missed) {
    const sight = this.#sight(watch, missed);
    for (const { listener } of [...watch.listeners]) listener(sight);
  }

  #sight({ state, you, isLive, isBehind }, missed) {
    return { state, you, missed, isLive: isLive && !isBehind };
  }
}
