/**
 * Who is signed in, the one live connection, and the bids whose verdict is not known yet.
 */
import { QuickBid, newKey } from "../sdk/quickbid.js";
import { api, onSignedOut } from "./api.js";

export const client = new QuickBid({
  url: () => `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/ws`,
  renew: async () => {
    try {
      await api("POST", "/api/sessions/renew", { isAnonymous: true });
      return true;
    } catch (error) {
      if (error.status !== 401) throw error;
      return false;
    }
  },
});

/** `user` fires when somebody signs in or out. */
export const session = Object.assign(new EventTarget(), {
  user: null,
  categories: [],
  increments: [],
  currencies: [{ code: "USD", decimals: 2 }],
});

export function setUser(user) {
  const isOther = session.user?.id !== user?.id;
  session.user = user;
  if (user === null) leaveHint(false);
  if (!isOther) return;
  session.dispatchEvent(new Event("user"));
  client.reconnect(); // a cookie counts at the handshake only
}

onSignedOut(() => setUser(null));

const HINT = "quickbid.signed-in";

/** A login leaves a hint, so that a visitor's page asks nothing that must be refused. */
function mayBeSignedIn() {
  try {
    return localStorage.getItem(HINT) === "1";
  } catch {
    return true; // storage is switched off: ask
  }
}

function leaveHint(isSignedIn) {
  try {
    if (isSignedIn) localStorage.setItem(HINT, "1");
    else localStorage.removeItem(HINT);
  } catch {
    /* storage is switched off */
  }
}

/** Learns who is signed in. Whoever the server does not know is a visitor. */
export async function loadSession() {
  if (!mayBeSignedIn()) return;
  try {
    session.user = (await api("GET", "/api/me")).user;
  } catch (error) {
    if (error.status !== 401) throw error;
    leaveHint(false);
  }
}

/** Takes the answer of a login. */
export function signIn(user) {
  leaveHint(true);
  setUser(user);
}

export async function signOut() {
  await api("DELETE", "/api/sessions", { isAnonymous: true });
  setUser(null);
}

// Keys of commands under way outlive a reload of the page, so that none is left without an answer.

const STORE = "quickbid.under-way";

function readKeys() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? [];
  } catch {
    return [];
  }
}

function writeKeys(keys) {
  try {
    sessionStorage.setItem(STORE, JSON.stringify(keys.slice(-20)));
  } catch {
    /* storage is switched off: a reload then asks nobody */
  }
}

const forgetKey = (key) => writeKeys(readKeys().filter((row) => row.key !== key));

/** Runs `command(key)` (a bid, say) under a new key that is remembered until its fate is known. */
export async function withKey(auction, command) {
  const key = newKey();
  writeKeys([...readKeys(), { auction, key }]);
  try {
    const verdict = await command(key);
    forgetKey(key);
    return verdict;
  } catch (error) {
    const isSettled = error.code !== "closed" && error.code !== "login_required";
    if (isSettled) forgetKey(key);
    throw error;
  }
}

/** Asks for the verdicts of what was under way in `auction` when the page went away. */
export async function resolveLeftovers(auction, told) {
  for (const row of readKeys().filter((entry) => entry.auction === auction)) {
    try {
      told(await client.resolve(row));
      forgetKey(row.key);
    } catch (error) {
      if (error.code !== "closed") forgetKey(row.key);
    }
  }
}
