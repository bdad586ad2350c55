/**
 * Which auctions are the person's own or on the watch list, as sets of ids, asked for once.
 */
import { api, withQuery } from "./api.js";
import { session } from "./session.js";

const PAGES_MOST = 5;
const sets = new Map();

session.addEventListener("user", () => sets.clear());

async function load(path) {
  const ids = new Set();
  let after = null;
  for (let page = 0; page < PAGES_MOST; page++) {
    const { auctions, next } = await api("GET", withQuery(path, { limit: 100, after }));
    for (const { id } of auctions) ids.add(id);
    if (!next) break;
    after = next;
  }
  return ids;
}

function setOf(path) {
  if (!session.user) return Promise.resolve(new Set());
  if (!sets.has(path)) {
    const loading = load(path);
    sets.set(path, loading);
    loading.catch(() => sets.delete(path));
  }
  return sets.get(path);
}

export const ownAuctions = () => setOf("/api/me/auctions");
export const bidAuctions = () => setOf("/api/me/bids");
export const watchedAuctions = () => setOf("/api/me/watched");

/** The person has published one more. */
export function addOwn(id) {
  ownAuctions().then(
    (ids) => ids.add(id),
    () => {},
  );
}

export async function setWatched(id, isWatched) {
  await api(isWatched ? "PUT" : "DELETE", `/api/me/watched/${id}`);
  const ids = await watchedAuctions();
  if (isWatched) ids.add(id);
  else ids.delete(id);
}
