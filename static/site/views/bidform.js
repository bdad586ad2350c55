/**
 * Bidding: the next bid one tap away, an own maximum (maximum.js), buy-now, and taking back. A bid
 * is sent once under one key; what the page says about it is what the server said.
 */
import { actionButton, confirm, field, h, select, setText, show } from "../core/dom.js";
import { money } from "../core/money.js";
import { signInPath } from "../core/nav.js";
import { client, session, withKey } from "../core/session.js";
import { toast } from "../core/toast.js";
import { maximumForm } from "./maximum.js";
import { refusalText, verdictText } from "./words.js";

const JUST_MOVED_MS = 600; // a tap so soon after a change was meant for the old amount

const reasons = [
  ["wrong_amount", "I typed a wrong amount"],
  ["description_changed", "The description was changed"],
  ["seller_unreachable", "The seller cannot be reached"],
];

export const isBad = ({ verdict }) => verdict === "outbid" || verdict === "void";

/** The smallest bid that would do, in one tap. */
function quickBid(table) {
  let shown = null;
  let movedMs = 0;
  const press = () => {
    if (Date.now() - movedMs >= JUST_MOVED_MS) table.bid(shown);
    else table.say(`The price has just moved. The next bid is now ${table.money(shown)}.`, "bad");
  };
  const node = h("button", { type: "button", class: "button main big", onclick: press });
  node.update = ({ state }, isOffered) => {
    if (shown !== null && state.minimum !== shown) movedMs = Date.now();
    shown = state.minimum;
    setText(node, `Bid ${table.money(shown)}`);
    show(node, isOffered && shown !== null && !table.leads());
  };
  return node;
}

function buyNow(table, { id: auction, title, currency }) {
  const node = actionButton("", { class: "button wide-button" }, async () => {
    const price = table.sight.state.buy_now;
    if (price === null) return;
    const isSure = await confirm({
      title: `Buy now for ${table.money(price)}?`,
      text: [title, "This ends the auction. You buy at this price, and it cannot be undone."],
      yes: "Buy now",
    });
    if (!isSure) return;
    await table.run("Buying…", price, (key) => client.buy({ auction, price, currency, key }));
  });
  node.update = ({ state }, isOffered) => {
    setText(node, `Buy now for ${table.money(state.buy_now)}`);
    show(node, isOffered && typeof state.buy_now === "number");
  };
  return node;
}

function takeBack(table, auction) {
  const reason = select(reasons, "wrong_amount", {});
  const retract = actionButton("Retract", { class: "button grave" }, async () => {
    const isSure = await confirm({
      title: "Retract your bid?",
      text: "Retractions are counted, and sellers see the count.",
      yes: "Retract",
      isGrave: true,
    });
    if (!isSure) return;
    const wanted = { auction, reason: reason.value };
    await table.run("Retracting…", null, (key) => client.retract({ ...wanted, key }));
  });
  const rule =
    "With more than 12 hours left all your bids go; after that only the last one, within an " +
    "hour. After a wrong amount, bid the right one at once.";
  const node = h("details", { class: "why" }, [
    h("summary", {}, "Take back a bid"),
    h("p", {}, rule),
    field("Reason", reason),
    retract,
  ]);
  node.update = (isOffered) => show(node, isOffered && table.hasBid());
  return node;
}

function explanation() {
  return h("details", { class: "why" }, [
    h("summary", {}, "How a maximum works"),
    h(
      "p",
      {},
      "Only you know your maximum. We bid for you, one step above the next best, and never more. " +
        "If two maxima are equal, the earlier one leads.",
    ),
    h(
      "p",
      {},
      "The next bid follows from the visible price alone, so somebody may beat a hidden maximum " +
        "by as little as one cent.",
    ),
  ]);
}

/** `update(sight, phase, isSeller)`. `say(text, kind)` shows a verdict; `hasBid`: here, before. */
export function bidForm(listing, { say, hasBid: hadBid }) {
  const { id: auction, currency } = listing;
  let isBusy = false;
  let hasBid = hadBid;

  /** Says how a command ended, also to somebody who has gone to another view meanwhile. */
  const conclude = (text, kind) => {
    if (node.isConnected) say(text, kind);
    else toast(text, { kind, href: `/a/${auction}`, linkText: listing.title });
  };

  /** What the parts share: the newest sight, and the way to a verdict. */
  const table = {
    sight: null,
    say,
    money: (minor) => money(minor, currency),
    leads: () => Boolean(table.sight.you) && table.sight.state.leader === table.sight.you.label,
    hasBid: () => hasBid || table.leads(),
    isBusy: () => isBusy,
    /** Runs one command to its verdict; a second one meanwhile does nothing. */
    run: async (text, max, command) => {
      if (isBusy) return;
      isBusy = true;
      node.setAttribute("aria-busy", "true");
      say(text, "busy");
      try {
        const verdict = await withKey(auction, command);
        hasBid = true;
        conclude(verdictText(verdict, max, currency), isBad(verdict) ? "bad" : "good");
        maximum.clear();
      } catch (error) {
        conclude(refusalText(error, currency), "bad");
      } finally {
        isBusy = false;
        node.removeAttribute("aria-busy");
      }
    },
    bid: (max) =>
      table.run(`Sending your bid of ${table.money(max)}…`, max, (key) =>
        client.bid({ auction, max, currency, key }),
      ),
  };

  const signIn = h("a", { class: "button main big", href: signInPath() }, "Sign in to bid");
  const quick = quickBid(table);
  const maximum = maximumForm(table, listing);
  const buy = buyNow(table, listing);
  const why = explanation();
  const back = takeBack(table, auction);
  const node = h("div", { class: "bid-form" }, signIn, quick, maximum, buy, why, back);

  node.update = (sight, phase, isSeller) => {
    table.sight = sight;
    const isOpen = phase === "open" || phase === "closing";
    const isOffered = isOpen && Boolean(session.user) && !isSeller;
    show(signIn, !session.user && (isOpen || phase === "scheduled"));
    quick.update(sight, isOffered);
    maximum.update(sight, isOffered);
    buy.update(sight, isOffered);
    show(why, isOpen && !isSeller);
    back.update(isOffered);
  };
  node.stop = () => maximum.stop();
  return node;
}
