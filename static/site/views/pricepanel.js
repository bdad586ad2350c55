/**
 * Price, leader and countdown, and how far they can be trusted at this moment: live or as of when,
 * recorded for good or not yet.
 */
import { h, setText } from "../core/dom.js";
import { money } from "../core/money.js";
import { clock, day, left } from "../core/time.js";
import { isOver, phaseNames } from "./card.js";
import { outcomeText, reserveText } from "./words.js";

const SOON_MS = 10 * 60_000;
const count = new Intl.NumberFormat();

function leaderText(state, you, phase) {
  if (isOver(phase)) return outcomeText(state, you);
  if (!state.leader) return state.bids > 0 ? "Nobody leads" : "No bids yet";
  if (you && state.leader === you.label) {
    return you.max !== undefined
      ? `You lead. Your maximum is ${money(you.max, state.currency)}.`
      : "You lead.";
  }
  return `Bidder ${state.leader} leads`;
}

function priceLabel(state, phase) {
  if (isOver(phase)) return phase === "sold" ? "Final price" : "Last price";
  return state.bids > 0 ? "Current price" : "Starting price";
}

const shownPrice = (state, listing) => state.final_price ?? state.price ?? listing.start_price;

/** Price and leader in words, for who listens. */
export function spoken({ state, you }, phase, listing) {
  const price = money(shownPrice(state, listing), listing.currency);
  return `${priceLabel(state, phase)} ${price}. ${leaderText(state, you, phase)}`;
}

/** Price, leader, countdown and how trustworthy they are at this moment. */
export function pricePanel(listing) {
  const { currency } = listing;
  const chip = h("span", { class: "chip" });
  const line = h("span", { class: "live" });
  const label = h("span", { class: "quiet" });
  const price = h("strong", { class: "big-price" });
  const mark = h("span", { class: "mark" });
  const leader = h("p", { class: "leader" });
  const bids = h("span", {});
  const watchers = h("span", {});
  const reserve = h("span", {});
  const timeLabel = h("span", { class: "quiet" });
  const time = h("span", { class: "clock", role: "timer", "aria-live": "off" });
  const when = h("span", { class: "quiet" });
  const extended = h("p", { class: "quiet extended" });
  const node = h(
    "div",
    { class: "price-panel" },
    h("div", { class: "status-line" }, chip, line),
    h(
      "div",
      { class: "price-line" },
      h("div", {}, label, price, mark),
      h("div", { class: "time-box" }, timeLabel, time, when),
    ),
    leader,
    h("p", { class: "facts" }, bids, watchers, reserve),
    extended,
  );

  node.update = ({ state, you, isLive }, phase) => {
    setText(chip, phaseNames[phase] ?? phase);
    chip.className = `chip ${phase}`;
    line.className = isLive ? "live on" : "live";
    node.classList.toggle("stale", !isLive && !isOver(phase));
    setText(line, isOver(phase) ? "" : isLive ? "Live" : `As of ${clock(state.now_ms)}`);
    setText(label, priceLabel(state, phase));
    setText(price, money(shownPrice(state, listing), currency));
    const isFinal = state.dur >= state.seq;
    setText(mark, isFinal ? "✓ recorded" : "being recorded…");
    mark.classList.toggle("final", isFinal);
    const leads = Boolean(you) && (state.leader === you.label || state.winner === you.label);
    leader.className = leads ? "leader own" : "leader";
    setText(leader, leaderText(state, you, phase));
    setText(bids, state.bids === 1 ? "1 bid" : `${state.bids} bids`);
    setText(watchers, state.watchers > 0 && !isOver(phase) ? `${count.format(state.watchers)} watching` : "");
    setText(reserve, reserveText[state.reserve] ?? "");
    setText(
      extended,
      state.extensions > 0 && !isOver(phase)
        ? `Late bids have moved the end ${state.extensions === 1 ? "once" : `${state.extensions} times`}.`
        : "",
    );
  };
  node.tick = (state, phase, now) => {
    const untilMs = phase === "scheduled" ? state.starts_at_ms : state.ends_at_ms;
    const isRunning = phase === "open" || phase === "scheduled";
    setText(
      timeLabel,
      phase === "scheduled"
        ? "Starts in"
        : phase === "open"
          ? "Ends in"
          : isOver(phase)
            ? "Ended"
            : "",
    );
    setText(
      time,
      isRunning
        ? left(untilMs - now)
        : phase === "closing"
          ? "Closing…"
          : phase === "paused"
            ? "Paused"
            : "",
    );
    setText(when, phase === "paused" || phase === "closing" ? "" : day(untilMs));
    time.classList.toggle("soon", phase === "open" && untilMs - now < SOON_MS);
  };
  return node;
}
