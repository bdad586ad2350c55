/**
 * QuickBid's client: one WebSocket that keeps itself alive, auctions that are always the newest
 * known, and bids that count once.
 *
 *     const client = new QuickBid({url: "wss://bids.example/ws"});
 *     client.connect();
 *     const stop = client.watch(id, ({state, you}) => show(state, state.leader === you?.label));
 *     const verdict = await client.bid({auction: id, max: 2100, currency: "USD"});
 *
 * Works in browsers and in Node (pass `WebSocket` from the package "ws" before Node 22). No
 * dependencies. The protocol is in docs/protocol.md, this module's guide in docs/sdk.md.
 *
 * @module quickbid
 */

/** @typedef {{auction: string, epoch: number, seq: number, dur: number, status: string,
 *   price: ?number, leader: ?string, bids: number, watchers: number, minimum: ?number,
 *   reserve: string, buy_now: ?number, starts_at_ms: number, ends_at_ms: number, extensions: number,
 *   currency: string, now_ms: number, last: ?object, outcome?: string, winner?: string,
 *   final_price?: number}} State  An auction as of (epoch, seq); amounts in minor units. */
/** @typedef {{label: string, max?: number}} You  Your pseudonym, and your maximum if you lead. */
/** @typedef {{state: State, you: ?You, missed: object[], isLive: boolean}} Sight  `isLive`: the
 *   server is sending this auction's updates right now; else it is as of state.now_ms. */
/** @typedef {{verdict: string, seq: number, epoch: number, price: ?number, minimum: ?number,
 *   ends_at_ms: number, bids: number, status: string, label: string}} Verdict  `verdict`: leading,
 *   outbid, raised, bought, done or void. */

import { ANSWER_MS, Keyed } from "./keyed.js";
import {
  BACKOFF_FIRST_MS,
  Clock,
  QuickBidError,
  backoffMs,
  newKey,
  planAfterClose,
} from "./parts.js";
import { Watches } from "./watches.js";

export { QuickBidError, newKey } from "./parts.js";

const SUBPROTOCOL = "quickbid.v1";
const STEADY_MS = 10_000; // a connection that lasted so long starts the back-off anew
const OPEN_MS = 10_000;
const QUIET_MS = 25_000; // without a frame for so long, ask
const PONG_MS = 5_000;
const TICK_MS = 5_000;
const GAP_MS = 10_000; // a tick that late means that the machine slept
const UNDER_WAY_MAX = 256;

const passing = (code, message) => new QuickBidError(code, message, { temporary: true });

/**
 * Events (CustomEvent, with `detail`): `status` {status, code, retryInMs}; `outbid`, `won`,
 * `notice`, `pending`, `stale`, `live` as the server pushes them; `unsettled` {auction, key} when a bid's time is
 * over before its verdict came, so that it is being resolved; `signedout` when the server knows
 * this client no longer.
 */
export class QuickBid extends EventTarget {
  #options;
  #socket = null;
  #wanted = false;
  #renewed = false; // since the last steady connection
  #attempt = 0;
  #retryTimer;
  #openTimer;
  #tickTimer;
  #authTimer;
  #openedMs = 0;
  #heardMs = 0;
  #tickedMs = 0;
  #returnMs = null; // when the server asked to come back
  #nextId = 1;
  #underWay = new Map(); // id -> what to do with its answer, on this connection
  #keyed; // bids, purchases and retractions without a verdict
  #watches;
  #clock = new Clock();
  #listening = [];

  /** "idle", "connecting", "live", "waiting" (to connect again), "offline" or "closed". */
  status = "idle";

  /**
   * @param {object} options
   * @param {string|URL|(() => string|URL)} options.url  the server's /ws
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {() => Promise<string>} [options.token]  gives a fresh access token; without it the
   *   browser's cookie says who you are
   * @param {() => Promise<boolean>} [options.renew]  renews the cookie; false: signed out for good
   * @param {number} [options.patienceMs]  a bid is never placed later than this after bid() was
   *   called; past it an unsent one fails and a sent one is resolved (20000)
   * @param {() => number} [options.random]  for the jitter
   */
  constructor(options) {
    super();
    this.#options = {
      WebSocket: globalThis.WebSocket,
      patienceMs: 20_000,
      random: Math.random,
      ...options,
    };
    const isLive = () => this.status === "live" && this.#socket !== null;
    this.#watches = new Watches({
      isLive,
      ask: (command) => this.#ask(command),
      hint: (serverMs) => this.#clock.hint(this.#heardMs, serverMs),
    });
    this.#keyed = new Keyed({
      isLive,
      transmit: (command, handlers) => this.#transmit(command, handlers),
      settled: (command, verdict) => this.#watches.learn(command, verdict),
      unsettled: (detail) => this.#emit("unsettled", detail),
      patienceMs: this.#options.patienceMs,
      random: this.#options.random,
    });
  }

  /** Connects, and stays connected until close(). Safe to call again. */
  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#attempt = 0;
    this.#listenToTheWorld();
    this.#tickedMs = Date.now();
    this.#tickTimer = setInterval(() => this.#tick(), TICK_MS);
    this.#tickTimer.unref?.();
    this.#open();
  }

  /** Ends the connection. What has no answer yet rejects with `closed`; a bid's outcome may then
   *  be unknown: its key is in the error, for resolve(). */
  close() {
    this.#rest();
    this.#drop(1000);
    const text = "The connection was closed before the answer came.";
    this.#keyed.failAll(() => new QuickBidError("closed", text));
    this.#setStatus("closed", { code: 1000 });
  }

  /** Connects anew at once, as after signing in or out: a cookie counts at the handshake only. */
  reconnect() {
    this.#watches.forgetYou();
    this.#rest();
    this.#drop(1000);
    this.connect();
  }

  /** The server's time, in ms, as well as it is known; see clockErrorMs. */
  serverNow() {
    return Date.now() + this.#clock.offsetMs;
  }

  /** How far off serverNow() may be, in ms; Infinity before the first round trip. */
  get clockErrorMs() {
    return this.#clock.errorMs;
  }

  /** Whether the server has lost touch with any auction that is followed. It comes back by itself. */
  get isBehind() {
    return this.#watches.isBehind;
  }

  /**
   * Follows an auction through reconnects, sleep and restarts; `listener` hears only what is newer.
   * @param {string} auction
   * @param {(sight: Sight) => void} listener
   * @param {{onError?: (error: QuickBidError) => void}} [options]
   * @returns {() => void}  stops following
   */
  watch(auction, listener, { onError } = {}) {
    return this.#watches.add(auction, listener, onError);
  }

  /**
   * Bids up to `max`. The key is made before the first try and the same bid is sent again under it
   * until there is a verdict, so it counts once, whatever happens in between.
   * @param {{auction: string, max: number, currency: string, key?: string}} bid
   * @returns {Promise<Verdict>}  rejects with QuickBidError: refused, or `not_sent` (it never left)
   */
  bid({ auction, max, currency, key = newKey() }) {
    return this.#keyed.keep({ do: "bid", auction, max, currency, key });
  }

  /** Buys now, at the price seen. @returns {Promise<Verdict>} */
  buy({ auction, price, currency, key = newKey() }) {
    return this.#keyed.keep({ do: "buy", auction, price, currency, key });
  }

  /** Takes bids back, as far as the rules allow. @returns {Promise<Verdict>} */
  retract({ auction, reason, key = newKey() }) {
    return this.#keyed.keep({ do: "retract", auction, reason, key });
  }

  /** What became of a key (after a reload, say): its verdict, or `void` for ever. */
  resolve({ auction, key }) {
    return this.#keyed.keep({ do: "resolve", auction, key });
  }

  /** What a bid would do, without making it. Rejects with `disconnected` when there is no line. */
  preview({ auction, max, currency }) {
    return this.#ask({ do: "preview", auction, max, currency });
  }

  // The connection.

  #listenToTheWorld() {
    const listen = (target, type, listener) => {
      if (typeof target?.addEventListener !== "function") return;
      target.addEventListener(type, listener);
      this.#listening.push([target, type, listener]);
    };
    listen(globalThis, "online", () => this.#wake());
    listen(globalThis, "offline", () => this.#probe());
    listen(globalThis, "pageshow", (event) => event.persisted && this.#wake());
    listen(globalThis.document, "visibilitychange", () => {
      if (globalThis.document.visibilityState === "visible") this.#wake();
    });
  }

  /** The network or the person is back: do not wait for the timer, and do not trust the socket. */
  #wake() {
    if (this.status === "live") this.#probe();
    else if (this.#retryTimer && this.#returnMs === null) this.#open();
  }

  #rest() {
    this.#wanted = false;
    clearInterval(this.#tickTimer);
    for (const [target, type, listener] of this.#listening) {
      target.removeEventListener(type, listener);
    }
    this.#listening = [];
  }

  #tick() {
    const now = Date.now();
    const gap = now - this.#tickedMs - TICK_MS;
    this.#tickedMs = now;
    if (Math.abs(gap) > GAP_MS) {
      this.#clock.forget();
      this.#wake();
    } else if (this.status === "live" && now - this.#heardMs > QUIET_MS) {
      this.#probe();
    }
  }

  #open() {
    this.#stopTimers();
    this.#returnMs = null;
    const { url, WebSocket } = this.#options;
    const socket = new WebSocket(String(typeof url === "function" ? url() : url), SUBPROTOCOL);
    this.#socket = socket;
    this.#setStatus("connecting");
    const ours = (act) => (event) => socket === this.#socket && act(event);
    socket.onopen = ours(() => this.#greet(socket));
    socket.onmessage = ours((event) => this.#hear(event.data));
    socket.onclose = ours((event) => this.#lost(event.code));
    socket.onerror = () => {}; // a close follows
    this.#openTimer = setTimeout(() => this.#lost(1006), OPEN_MS);
  }

  async #greet(socket) {
    clearTimeout(this.#openTimer);
    this.#openedMs = this.#heardMs = Date.now();
    if (this.#options.token) {
      try {
        await this.#authenticate(socket);
      } catch (error) {
        const isRefused = error instanceof QuickBidError && !error.temporary;
        if (socket === this.#socket) this.#lost(isRefused ? 4000 : 1006);
        return;
      }
      if (socket !== this.#socket) return;
    }
    this.#setStatus("live");
    this.#measure(3);
    this.#keyed.sendAll();
    this.#watches.sendAll();
  }

  async #authenticate(socket) {
    const token = await this.#options.token();
    if (socket !== this.#socket) return;
    const { expires_ms } = await this.#ask({ do: "auth", token }, { early: true });
    // A minute before it ends (half-way, if it is short), so that the connection need not.
    const lifeMs = expires_ms - this.serverNow();
    const waitMs = Math.min(Math.max(lifeMs - 60_000, lifeMs / 2, 1_000), 2 ** 31 - 1);
    this.#authTimer = setTimeout(() => this.#authenticate(socket).catch(() => {}), waitMs);
  }

  /** Leaves the socket behind without waiting for a closing handshake that may never come. */
  #drop(code) {
    this.#stopTimers();
    const socket = this.#socket;
    this.#socket = null;
    try {
      socket?.close(code === 1000 ? 1000 : undefined);
    } catch {
      /* it was not open */
    }
    this.#keyed.pause();
    this.#watches.pause();
    const waiting = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const { lost, timer } of waiting) {
      clearTimeout(timer);
      lost?.(passing("disconnected", "The connection was lost. It comes back by itself."));
    }
  }

  #stopTimers() {
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#openTimer);
    clearTimeout(this.#authTimer);
    this.#retryTimer = undefined;
  }

  #lost(code) {
    if (this.#openedMs > 0 && Date.now() - this.#openedMs > STEADY_MS) {
      this.#attempt = 0;
      this.#renewed = false;
    }
    this.#openedMs = 0;
    this.#drop(code);
    if (this.#wanted) this.#plan(code);
  }

  #plan(code) {
    const plan = planAfterClose(code);
    if (!plan.retry) {
      this.#rest();
      this.#setStatus("closed", { code });
      if (code === 4002 || code === 4003) this.#emit("signedout", { code });
      return;
    }
    if (plan.renew && this.#options.renew && !this.#renewed) {
      this.#renewThenOpen();
      return;
    }
    const { random } = this.#options;
    let waitMs = (plan.waitMs ?? BACKOFF_FIRST_MS) + backoffMs(this.#attempt, random);
    if (plan.now && this.#attempt === 0) waitMs = BACKOFF_FIRST_MS * (1 + random());
    if (this.#returnMs !== null) waitMs = Math.max(0, this.#returnMs - Date.now());
    this.#attempt += 1;
    this.#retryTimer = setTimeout(() => this.#open(), waitMs);
    const isOffline = globalThis.navigator?.onLine === false;
    this.#setStatus(isOffline ? "offline" : "waiting", { code, retryInMs: waitMs });
  }

  async #renewThenOpen() {
    this.#renewed = true;
    this.#setStatus("connecting");
    let isKnown;
    try {
      isKnown = await this.#options.renew();
    } catch {
      this.#renewed = false; // nobody was there to ask
      if (this.#wanted && this.#socket === null) this.#plan(1006);
      return;
    }
    if (!isKnown) this.#emit("signedout", { code: 4001 });
    // Signed out or not, prices go on: a visitor may watch.
    if (this.#wanted && this.#socket === null) this.#open();
  }

  // Messages.

  #hear(data) {
    this.#heardMs = Date.now();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return;
    }
    if (message.on !== undefined) {
      this.#hearPush(message);
      return;
    }
    const request = this.#underWay.get(message.id);
    if (!request) return;
    this.#underWay.delete(message.id);
    clearTimeout(request.timer);
    const { id, ok, error, ...answer } = message;
    if (ok) request.answered(answer);
    else request.refused(new QuickBidError(error.code, error.message, error));
  }

  #hearPush(message) {
    if (message.on === "update") {
      this.#clock.hint(this.#heardMs, message.now_ms);
      const { on, ...state } = message;
      this.#watches.update(state);
    } else if (message.on === "watchers") {
      this.#watches.crowd(message.auction, message.watchers);
    } else if (message.on === "reconnect") {
      this.#returnMs = Date.now() + message.after_ms;
    } else if (message.on === "pending") {
      this.#keyed.becamePending(message.key);
      this.#emit("pending", message);
    } else {
      if (message.on === "outbid") this.#watches.outbid(message.auction);
      const isBehind = message.on === "stale";
      if (isBehind || message.on === "live") this.#watches.setBehind(message.auctions, isBehind);
      this.#emit(message.on, message);
    }
  }

  /** Sends one command that is not worth repeating; rejects when the connection goes. */
  #ask(command, { early = false } = {}) {
    return new Promise((answered, refused) => {
      if (!this.#socket || !(early || this.status === "live")) {
        refused(passing("disconnected", "There is no connection now. Try again when it is back."));
        return;
      }
      const late = () => refused(passing("timeout", "No answer came in time. Try again."));
      this.#transmit(command, { answered, refused, late, lost: refused });
    });
  }

  #transmit(command, handlers) {
    if (this.#underWay.size >= UNDER_WAY_MAX) {
      handlers.refused(passing("too_many", "Too many requests are waiting for answers."));
      return;
    }
    const id = this.#nextId++;
    // A late one is left in the map: its answer still counts when it comes.
    const timer = handlers.late && setTimeout(handlers.late, ANSWER_MS);
    this.#underWay.set(id, { ...handlers, timer });
    this.#socket.send(JSON.stringify({ id, ...command }));
  }

  /** Asks whether the line is alive, and the time; drops it when there is no answer. */
  #probe() {
    if (this.status !== "live") return;
    const socket = this.#socket;
    const sentMs = Date.now();
    const timer = setTimeout(() => {
      if (socket === this.#socket && this.#heardMs < sentMs) this.#lost(4202);
    }, PONG_MS);
    timer.unref?.();
    this.#ask({ do: "ping" }).then(
      ({ now_ms }) => {
        clearTimeout(timer);
        this.#clock.add(sentMs, Date.now(), now_ms);
      },
      () => {},
    );
  }

  #measure(times) {
    this.#probe();
    if (times < 2) return;
    setTimeout(() => this.status === "live" && this.#measure(times - 1), 1_000).unref?.();
  }

  #setStatus(status, detail = {}) {
    this.status = status;
    this.#emit("status", { status, ...detail });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
