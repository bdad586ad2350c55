/**
 * The public history of bids: newest first, by pseudonym. New rows come with the live updates;
 * what an update left out is fetched again, a little later and not by everybody at once.
 */
import { api, withQuery } from "../core/api.js";
import { actionButton, h, setText, show } from "../core/dom.js";
import { money } from "../core/money.js";
import { stamp } from "../core/time.js";

const PAGE_ROWS = 50;
const CATCH_UP_MS = 600;
const CATCH_UP_SPREAD_MS = 2_400;

const verbs = {
  bid: "bid",
  raise: "raised the maximum",
  buy_now: "bought it now",
  retract: "retracted",
  void: "was voided",
  reserve: "The reserve was lowered",
  extend: "The end was moved",
  pause: "Paused",
  resume: "Resumed",
  close: "Closed",
  cancel: "Cancelled",
  open: "Published",
};
const isPriced = (row) => row.price !== null && row.price !== undefined;

/** `onRows(rows)`, to be set, hears all known rows, oldest first, whenever they change. */
export function historyList(auction, currency, signal) {
  const list = h("ol", { class: "history", reversed: true });
  const empty = h("p", { class: "quiet" }, "No bids yet. The first one sets the price.");
  const older = actionButton("Show older bids", { class: "button" }, async () => {
    try {
      await load(before);
    } catch (error) {
      if (!signal.aborted) setText(older, `${error.message} Try again`);
    }
  });
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "history-title" },
    h("h2", { id: "history-title" }, "Bids"),
    empty,
    list,
    older,
  );
  const rows = new Map(); // by seq
  let before = null;
  let own = null;
  let timer;

  const sorted = () => [...rows.values()].sort((a, b) => b.seq - a.seq);
  const drawRow = (row) => {
    const isOwn = own !== null && row.label === own;
    const who = row.label
      ? h("span", { class: isOwn ? "who own" : "who" }, isOwn ? `You (${row.label})` : row.label)
      : null;
    return h(
      "li",
      { class: isPriced(row) ? "" : "note" },
      h(
        "span",
        {},
        who,
        who && " ",
        h(
          "span",
          { class: "quiet" },
          verbs[row.kind] ?? row.kind,
          row.max !== undefined && row.max !== null && `, up to ${money(row.max, currency)}`,
        ),
      ),
      h("span", { class: "amount" }, isPriced(row) ? money(row.price, currency) : ""),
      h("time", { class: "quiet", datetime: new Date(row.t_ms).toISOString() }, stamp(row.t_ms)),
    );
  };
  const draw = () => {
    const all = sorted();
    list.replaceChildren(...all.map(drawRow));
    show(empty, all.length === 0);
    node.onRows(all.reverse());
  };
  const take = (events) => {
    for (const event of events) rows.set(event.seq, { ...rows.get(event.seq), ...event });
  };
  const load = async (from) => {
    const answer = await api(
      "GET",
      withQuery(`/api/auctions/${auction}/bids`, { limit: PAGE_ROWS, before: from }),
      { signal },
    );
    take(answer.bids);
    if (from !== null || before === null) {
      before = answer.next;
      show(older, Boolean(before));
    }
    draw();
  };
  const catchUp = () => {
    if (timer !== undefined) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        load(null).catch(() => {}); // the next update tries again
      },
      CATCH_UP_MS + Math.random() * CATCH_UP_SPREAD_MS,
    );
  };

  show(older, false);
  node.onRows = () => {};
  node.start = () => load(null);
  node.update = ({ state, you, missed }) => {
    const size = rows.size;
    const wasOwn = own;
    own = you?.label ?? null;
    take(missed);
    if (state.last) take([state.last]);
    if (rows.size !== size || own !== wasOwn) draw();
    // The public count is of live bids; fewer rows than that, and something was folded away.
    const known = [...rows.values()].filter(
      ({ kind }) => kind === "bid" || kind === "raise" || kind === "buy_now",
    ).length;
    if (before === null && known < state.bids) catchUp();
  };
  node.stop = () => clearTimeout(timer);
  return node;
}
