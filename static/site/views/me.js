/** The person's own bids, auctions, watch list and payments. */
import { api, withQuery } from "../core/api.js";
import { actionButton, h, setText, show } from "../core/dom.js";
import { money } from "../core/money.js";
import { session } from "../core/session.js";
import { day } from "../core/time.js";
import { cardList } from "./card.js";
import { signOutButton } from "./sign.js";

const PAGE_ROWS = 24;
const tabs = [
  ["bids", "Bids"],
  ["selling", "Selling"],
  ["watched", "Watched"],
  ["payments", "Payments"],
];
const kinds = {
  bids: { path: "/api/me/bids", empty: "You have not bid yet.", extra: yourBid },
  selling: { path: "/api/me/auctions", empty: "You have not sold anything yet." },
  watched: {
    path: "/api/me/watched",
    empty: "You are not watching any auction. Press Watch on one to find it here.",
  },
};
const paymentWords = {
  pending: "Due",
  paid: "Paid",
  failed: "Failed: try again",
  expired: "Expired",
  cancelled: "Cancelled",
  refunded: "Refunded",
};

function yourBid({ you, currency }) {
  if (!you) return null;
  return h(
    "p",
    { class: you.leading ? "card-note own" : "card-note" },
    you.leading
      ? `You lead, up to ${money(you.max, currency)}`
      : `Your maximum was ${money(you.max, currency)}`,
  );
}

function paymentRow({ auction, title, amount, currency, status, as, deadline_ms }) {
  const word = paymentWords[status] ?? status;
  const isDue = status === "pending";
  return h(
    "li",
    { class: "row" },
    h(
      "div",
      {},
      h("a", { href: `/a/${auction}` }, title || "Auction"),
      h(
        "p",
        { class: "quiet" },
        as === "seller" ? "You sold this" : "You bought this",
        isDue && `, due by ${day(deadline_ms)}`,
      ),
    ),
    h(
      "div",
      { class: "row-end" },
      h("strong", {}, money(amount, currency)),
      h("span", { class: isDue ? "chip closing" : "chip" }, word),
    ),
  );
}

/** A list in pages: `load(after)` adds rows and gives the next cursor. */
function paged(list, emptyText, load, signal) {
  const note = h("p", { class: "empty", role: "status" });
  let after = null;
  const next = async () => {
    try {
      after = await load(after);
      setText(more, "Show more");
      show(more, Boolean(after));
      setText(note, list.children.length === 0 ? emptyText : "");
    } catch (error) {
      if (signal.aborted) return;
      setText(note, error.message);
      setText(more, "Try again");
      show(more, true);
    }
    show(note, note.textContent !== "");
  };
  const more = actionButton("Show more", { class: "button wide-button" }, next);
  show(more, false);
  return { nodes: [list, note, more], next };
}

export async function meView({ parameter, signal }) {
  const tab = parameter ?? "bids";
  const kind = kinds[tab];
  const list = kind
    ? cardList(tabs.find(([key]) => key === tab)[1])
    : h("ul", { class: "row-list" });
  const load = async (after) => {
    const path = withQuery(kind?.path ?? "/api/me/payments", { limit: PAGE_ROWS, after });
    const answer = await api("GET", path, { signal });
    if (kind) list.add(answer.auctions, kind.extra);
    else list.append(...answer.payments.map(paymentRow));
    return answer.next;
  };
  const pages = paged(
    list,
    kind?.empty ?? "Nothing to pay, and nothing owed to you.",
    load,
    signal,
  );
  await pages.next();
  return {
    title: tabs.find(([key]) => key === tab)[1],
    node: h(
      "div",
      {},
      h(
        "div",
        { class: "me-head" },
        h("h1", {}, session.user.name || session.user.email),
        signOutButton("button small"),
      ),
      h(
        "nav",
        { class: "segments tabs", "aria-label": "Your pages" },
        tabs.map(([key, text]) =>
          h("a", { href: `/me/${key}`, "aria-current": key === tab ? "page" : null }, text),
        ),
      ),
      pages.nodes,
    ),
    stop: () => list.clear?.(),
  };
}
