/**
 * One auction, live. What is shown is always the newest state that the client module has, and says
 * of itself whether it is live, as of when, and whether it is recorded for good.
 */
import { api } from "../core/api.js";
import { actionButton, h, setText, show } from "../core/dom.js";
import { money } from "../core/money.js";
import { navigate, signInPath } from "../core/nav.js";
import { ownAuctions, setWatched, watchedAuctions } from "../core/mine.js";
import { client, resolveLeftovers, session } from "../core/session.js";
import { clock, day, left, leftInWords, onTick } from "../core/time.js";
import { toast } from "../core/toast.js";
import { bidForm } from "./bidform.js";
import { isOver, phaseNames, phaseOf, picture } from "./card.js";
import { historyList } from "./history.js";
import { title } from "./list.js";
import { priceChart } from "./pricechart.js";
import { sellerPanel } from "./seller.js";
import { outcomeText, reserveText, verdictText } from "./words.js";

const SOON_MS = 10 * 60_000;
const ANNOUNCE_EVERY_MS = 4_000;
const ANNOUNCE_LEFT_MS = [300_000, 60_000, 10_000];

/** Says prices to a screen reader: the newest, and not more often than one can listen. */
function announcer() {
  const node = h("p", { class: "hidden-text", role: "status", "aria-live": "polite" });
  let waiting = null;
  let timer;
  let lastMs = 0;
  const speak = () => {
    timer = undefined;
    lastMs = Date.now();
    setText(node, waiting);
  };
  node.say = (text) => {
    if (text === waiting) return;
    waiting = text;
    timer ??= setTimeout(speak, Math.max(0, lastMs + ANNOUNCE_EVERY_MS - Date.now()));
  };
  node.stop = () => clearTimeout(timer);
  return node;
}

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

/** Price, leader, countdown and how trustworthy they are at this moment. */
function pricePanel(listing) {
  const { currency } = listing;
  const chip = h("span", { class: "chip" });
  const line = h("span", { class: "live" });
  const label = h("span", { class: "quiet" });
  const price = h("strong", { class: "big-price" });
  const mark = h("span", { class: "mark" });
  const leader = h("p", { class: "leader" });
  const bids = h("span", {});
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
    h("p", { class: "facts" }, bids, reserve),
    extended,
  );

  node.update = ({ state, you, isLive }, phase) => {
    setText(chip, phaseNames[phase] ?? phase);
    chip.className = `chip ${phase}`;
    line.className = isLive ? "live on" : "live";
    setText(line, isOver(phase) ? "" : isLive ? "Live" : `As of ${clock(state.now_ms)}`);
    setText(label, priceLabel(state, phase));
    setText(price, money(state.final_price ?? state.price ?? listing.start_price, currency));
    const isFinal = state.dur >= state.seq;
    setText(mark, isFinal ? "✓ recorded" : "being recorded…");
    mark.classList.toggle("final", isFinal);
    const leads = Boolean(you) && (state.leader === you.label || state.winner === you.label);
    leader.className = leads ? "leader own" : "leader";
    setText(leader, leaderText(state, you, phase));
    setText(bids, state.bids === 1 ? "1 bid" : `${state.bids} bids`);
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

function watchButton(auction) {
  const button = actionButton("Watch", { "aria-pressed": "false" }, async () => {
    if (!session.user) {
      navigate(signInPath());
      return;
    }
    const isOn = button.getAttribute("aria-pressed") !== "true";
    try {
      await setWatched(auction, isOn);
      mark(isOn);
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
  });
  const mark = (isOn) => {
    button.setAttribute("aria-pressed", String(isOn));
    setText(button, isOn ? "Watching" : "Watch");
  };
  watchedAuctions().then(
    (ids) => mark(ids.has(auction)),
    () => {},
  );
  return button;
}

function about(listing) {
  const rows = [
    ["Category", listing.category && title(listing.category)],
    ["Seller", listing.seller_name],
    ["Starting price", money(listing.start_price, listing.currency)],
    ["Starts", day(listing.starts_at_ms)],
  ];
  return h(
    "section",
    { class: "panel", "aria-labelledby": "about-title" },
    h("h2", { id: "about-title" }, "About this item"),
    h(
      "p",
      { class: "description" },
      listing.description || "The seller has written no description.",
    ),
    h(
      "dl",
      { class: "rows" },
      rows
        .filter(([, value]) => value)
        .map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    ),
  );
}

export async function auctionView({ parameter: auction, signal }) {
  const [{ auction: listing }, firstState, own] = await Promise.all([
    api("GET", `/api/auctions/${auction}`, { signal }),
    api("GET", `/api/auctions/${auction}/state`, { signal }),
    ownAuctions().catch(() => new Set()),
  ]);
  const { currency } = listing;
  const isSeller =
    own.has(auction) || (session.user !== null && listing.seller === session.user.id);
  const verdict = h("p", { class: "verdict", role: "status" });
  const say = (text, kind) => {
    setText(verdict, text);
    verdict.className = `verdict ${kind ?? ""}`;
  };
  const heard = announcer();
  const panel = pricePanel(listing);
  const form = bidForm(listing, { say });
  const chart = priceChart(currency);
  const history = historyList(auction, currency, {
    signal,
    onRows: (rows) => chart.update(rows, endOfChart()),
  });
  const seller = isSeller ? sellerPanel(auction, currency) : null;
  let sight = { state: firstState, you: null, missed: [], isLive: false };
  let phase = phaseOf(firstState, client.serverNow());
  let leftMs = Infinity;

  const endOfChart = () =>
    isOver(phase) ? sight.state.ends_at_ms : Math.min(client.serverNow(), sight.state.ends_at_ms);
  const draw = () => {
    panel.update(sight, phase);
    form.update(sight, phase, isSeller);
    seller?.update(phase, sight.state);
  };
  const announce = () =>
    heard.say(
      `${priceLabel(sight.state, phase)} ${money(sight.state.final_price ?? sight.state.price ?? listing.start_price, currency)}. ${leaderText(sight.state, sight.you, phase)}`,
    );
  const take = (next) => {
    const lead = sight.you && sight.state.leader === sight.you.label;
    sight = next;
    phase = phaseOf(sight.state, client.serverNow());
    draw();
    announce();
    history.update(sight);
    const stillLeads = sight.you && sight.state.leader === sight.you.label;
    if (lead && !stillLeads && !isOver(phase))
      say(`You were outbid. The next bid is ${money(sight.state.minimum, currency)}.`, "bad");
  };
  const stopWatching = client.watch(auction, take, {
    onError: (error) => say(error.message, "bad"),
  });
  const stopTicking = onTick((now) => {
    const nextPhase = phaseOf(sight.state, now);
    if (nextPhase !== phase) {
      phase = nextPhase;
      draw();
    }
    panel.tick(sight.state, phase, now);
    const ms = sight.state.ends_at_ms - now;
    const passed = ANNOUNCE_LEFT_MS.find((limit) => leftMs > limit && ms <= limit && ms > 0);
    if (passed && leftMs !== Infinity && phase === "open") heard.say(`Ends in ${leftInWords(ms)}.`);
    leftMs = ms;
  });
  const hear = (type, run) => {
    const listener = ({ detail }) => detail.auction === auction && run(detail);
    client.addEventListener(type, listener);
    signal.addEventListener("abort", () => client.removeEventListener(type, listener));
  };
  hear("won", () => say("You won this auction.", "good"));
  hear("unsettled", () =>
    say(
      "The connection was lost before the answer came. Finding out what became of your bid; it counts once or not at all.",
      "busy",
    ),
  );
  const redraw = () => draw();
  session.addEventListener("user", redraw);
  draw();
  await history.start().catch(() => {}); // the live updates fetch again what is missing
  resolveLeftovers(auction, (answer) =>
    say(`Your last bid: ${verdictText(answer, answer.max ?? null, currency)}`, "good"),
  );

  const node = h(
    "article",
    { class: "auction" },
    h(
      "div",
      { class: "auction-head" },
      h("h1", {}, listing.title),
      h("p", { class: "quiet" }, listing.seller_name && `Sold by ${listing.seller_name}`),
      !isSeller && watchButton(auction),
    ),
    listing.image && h("div", { class: "auction-picture" }, picture(listing, { isLarge: true })),
    h(
      "section",
      { class: "panel bid-panel", "aria-label": "Price and bidding" },
      panel,
      verdict,
      form,
      heard,
    ),
    h("div", { class: "auction-more" }, seller, chart, history, about(listing)),
  );
  return {
    title: listing.title,
    node,
    stop: () => {
      stopWatching();
      stopTicking();
      heard.stop();
      form.stop();
      chart.stop();
      history.stop();
      session.removeEventListener("user", redraw);
    },
  };
}
