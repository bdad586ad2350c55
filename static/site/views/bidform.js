/**
 * Bidding: the next bid one tap away, an own maximum with a preview, buy-now, and taking back.
 * A bid is sent once under one key; what the page says about it is what the server said.
 */
import { actionButton, confirm, field, h, select, setText, show } from "../core/dom.js";
import { money, parseMoney, plain } from "../core/money.js";
import { signInPath } from "../core/nav.js";
import { client, session, withKey } from "../core/session.js";
import { refusalText, verdictText } from "./words.js";

const PREVIEW_AFTER_MS = 300;
const JUST_MOVED_MS = 600; // a tap so soon after a change was meant for the old amount
const FAR_ABOVE = 10;

const reasons = [["wrong_amount", "I typed a wrong amount"], ["description_changed", "The description was changed"],
  ["seller_unreachable", "The seller cannot be reached"]];

/** `update(sight, phase)`. `say(text, kind)` shows a verdict. */
export function bidForm(listing, { say }) {
  const { id: auction, currency } = listing;
  let sight = null;
  let isBusy = false;
  let movedMs = 0;
  let shownMinimum = null;
  let asked = 0;
  let timer;

  const leads = () => Boolean(sight?.you) && sight.state.leader === sight.you.label;

  /** Runs one command to its verdict; a second press meanwhile does nothing. */
  const run = async (text, max, command) => {
    if (isBusy) return;
    isBusy = true;
    node.setAttribute("aria-busy", "true");
    say(text, "busy");
    try {
      const verdict = await withKey(auction, command);
      say(verdictText(verdict, max, currency), verdict.verdict === "outbid" || verdict.verdict === "void" ? "bad" : "good");
      amount.value = "";
      setText(preview, "");
    } catch (error) {
      say(refusalText(error, currency), "bad");
    } finally {
      isBusy = false;
      node.removeAttribute("aria-busy");
    }
  };
  const bid = (max) => run(`Sending your bid of ${money(max, currency)}…`, max, (key) => client.bid({ auction, max, currency, key }));

  const quick = h("button", { type: "button", class: "button main big", onclick: () => {
    if (Date.now() - movedMs < JUST_MOVED_MS) say(`The price has just moved. The next bid is now ${money(shownMinimum, currency)}.`, "bad");
    else bid(shownMinimum);
  } });

  const amount = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", maxlength: "24", enterkeyhint: "done" });
  const row = field("Your maximum", amount, { hint: " " });
  const hint = row.querySelector(".hint");
  const preview = h("p", { class: "preview", role: "status" });
  const place = h("button", { class: "button" }, "Bid up to this");

  const readAmount = () => {
    const max = parseMoney(amount.value, currency);
    if (max === null) row.setError(`Write an amount in ${currency}, like ${plain(shownMinimum ?? 1000, currency)}.`);
    else if (!leads() && shownMinimum !== null && max < shownMinimum) row.setError(`Bid ${money(shownMinimum, currency)} or more.`);
    else if (leads() && sight.you.max !== undefined && max <= sight.you.max) row.setError(`Your maximum is ${money(sight.you.max, currency)}. It can be raised, not lowered.`);
    else {
      row.setError(null);
      return max;
    }
    return null;
  };
  const previewText = (answer, max) => {
    if (answer.would === "refused") return refusalText({ code: answer.code, minimum: answer.minimum, message: "" }, currency);
    const reserve = answer.may_meet_reserve && sight.state.reserve === "not_met" ? " It may meet the reserve." : "";
    if (answer.would === "lead" && answer.price_if_accepted === sight.state.price) {
      return `You lead. Your maximum becomes ${money(max, currency)}; the price stays at ${money(sight.state.price, currency)}.${reserve}`;
    }
    if (answer.would === "lead") return `You lead. The price moves to ${money(answer.price_if_accepted, currency)} at once, because you were held to your old maximum.${reserve}`;
    return `We bid for you, one step at a time, up to ${money(max, currency)}. A hidden maximum may still be higher.${reserve}`;
  };
  const look = async () => {
    const mine = ++asked;
    setText(preview, "");
    if (amount.value.trim() === "") {
      row.setError(null);
      return;
    }
    const max = readAmount();
    if (max === null || client.status !== "live") return;
    try {
      const answer = await client.preview({ auction, max, currency });
      if (mine === asked) setText(preview, previewText(answer, max));
    } catch { /* the bid itself will say what is wrong */ }
  };
  amount.addEventListener("input", () => {
    clearTimeout(timer);
    row.setError(null);
    timer = setTimeout(look, PREVIEW_AFTER_MS);
  });

  /** What must be said before somebody commits. True: go on. */
  const isMeant = async (max) => {
    if (!leads() && max >= shownMinimum * FAR_ABOVE) {
      return confirm({ title: `Bid up to ${money(max, currency)}?`,
        text: `That is far above the next bid of ${money(shownMinimum, currency)}. If others bid, you may have to pay as much.`, yes: "Bid up to this" });
    }
    if (!leads()) return true;
    const answer = await client.preview({ auction, max, currency });
    const moves = answer.would === "lead" && answer.price_if_accepted !== null && answer.price_if_accepted > sight.state.price;
    return !moves || confirm({ title: "Raise your maximum?", yes: "Raise it",
      text: `The price would move from ${money(sight.state.price, currency)} to ${money(answer.price_if_accepted, currency)} at once, although nobody else has bid: you were held to your old maximum.` });
  };
  const form = h("form", { class: "maximum", novalidate: true, onsubmit: async (event) => {
    event.preventDefault();
    clearTimeout(timer);
    const max = readAmount();
    if (max === null) {
      amount.focus();
      return;
    }
    try {
      if (!isBusy && await isMeant(max)) await bid(max);
    } catch (error) {
      say(refusalText(error, currency), "bad");
    }
  } }, row, place, preview);

  const why = h("details", { class: "why" }, h("summary", {}, "How a maximum works"),
    h("p", {}, "Only you know your maximum. We bid for you, one step above the next best, and never more. If two maxima are equal, the earlier one leads."),
    h("p", {}, "The next bid follows from the visible price alone, so somebody may beat a hidden maximum by as little as one cent."));

  const buyText = h("span", {});
  const buy = actionButton("", { class: "button wide-button" }, async () => {
    const price = sight.state.buy_now;
    if (price === null) return;
    const isSure = await confirm({ title: `Buy now for ${money(price, currency)}?`, yes: "Buy now",
      text: [listing.title, "This ends the auction. You buy the item at this price, and it cannot be undone."] });
    if (isSure) await run("Buying…", price, (key) => client.buy({ auction, price, currency, key }));
  });
  buy.append(buyText);

  const reason = select(reasons, "wrong_amount", {});
  const takeBack = h("details", { class: "why" }, h("summary", {}, "Take back a bid"),
    h("p", {}, "With more than 12 hours left all your bids go; after that only the last one, within an hour. A wrong amount must be bid again at once."),
    field("Reason", reason),
    actionButton("Retract", { class: "button grave" }, async () => {
      const isSure = await confirm({ title: "Retract your bid?", text: "Retractions are counted, and sellers see the count.", yes: "Retract", isGrave: true });
      if (isSure) await run("Retracting…", null, (key) => client.retract({ auction, reason: reason.value, key }));
    }));

  const signIn = h("a", { class: "button main big", href: signInPath() }, "Sign in to bid");
  const node = h("div", { class: "bid-form" }, signIn, quick, form, buy, why, takeBack);

  node.update = (next, phase, isSeller) => {
    sight = next;
    const { state, you } = sight;
    const isBidder = Boolean(session.user) && !isSeller;
    const isOpen = phase === "open" || phase === "closing";
    if (state.minimum !== shownMinimum) {
      if (shownMinimum !== null) movedMs = Date.now();
      shownMinimum = state.minimum;
    }
    setText(quick, `Bid ${money(state.minimum, currency)}`);
    setText(place, leads() ? "Raise maximum" : "Bid up to this");
    setText(hint, leads() ? `In ${currency}. Only ever more than now.` : `In ${currency}, ${money(state.minimum, currency)} or more.`);
    setText(buyText, `Buy now for ${money(state.buy_now, currency)}`);
    show(signIn, !session.user && (isOpen || phase === "scheduled"));
    show(quick, isBidder && isOpen && !leads() && state.minimum !== null);
    show(form, isBidder && isOpen && state.minimum !== null);
    show(buy, isBidder && isOpen && state.buy_now !== null && state.buy_now !== undefined);
    show(why, isOpen && !isSeller);
    show(takeBack, isBidder && isOpen && Boolean(you?.label) && leads());
  };
  node.stop = () => clearTimeout(timer);
  return node;
}
