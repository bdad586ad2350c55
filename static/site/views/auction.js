/**
 * One auction, live. What is shown is always the newest state that the client module has, and says
 * of itself whether it is live, as of when, and whether it is recorded for good.
 */
import { announcer } from "../core/announce.js";
import { api } from "../core/api.js";
import { actionButton, h, setText } from "../core/dom.js";
import { bidAuctions, ownAuctions, setWatched, watchedAuctions } from "../core/mine.js";
import { money } from "../core/money.js";
import { navigate, signInPath } from "../core/nav.js";
import { client, resolveLeftovers, session } from "../core/session.js";
import { day, leftInWords, onTick } from "../core/time.js";
import { toast } from "../core/toast.js";
import { bidForm, isBad } from "./bidform.js";
import { isOver, phaseOf, picture } from "./card.js";
import { historyList } from "./history.js";
import { title } from "./list.js";
import { priceChart } from "./pricechart.js";
import { pricePanel, spoken } from "./pricepanel.js";
import { sellerPanel } from "./seller.js";
import { verdictText } from "./words.js";

const REMIND_MS = [300_000, 60_000, 10_000];
const UNSETTLED =
  "The connection was lost before the answer came. Finding out what became of your bid; " +
  "it counts once or not at all.";

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

async function load(auction, signal) {
  const nothing = () => new Set();
  const [{ auction: listing }, state, own, bid] = await Promise.all([
    api("GET", `/api/auctions/${auction}`, { signal }),
    api("GET", `/api/auctions/${auction}/state`, { signal }),
    ownAuctions().catch(nothing),
    bidAuctions().catch(nothing),
  ]);
  return { listing, state, isSeller: own.has(auction), hasBid: bid.has(auction) };
}

/** Where verdicts and warnings are said. */
function verdictLine() {
  const node = h("p", { class: "verdict", role: "status" });
  node.say = (text, kind) => {
    setText(node, text);
    node.className = `verdict ${kind ?? ""}`;
  };
  return node;
}

/** Reminds a listener of the end: at five minutes, one minute, ten seconds. */
function endReminder(say) {
  let before = Infinity;
  return (leftMs, phase) => {
    const isDue = REMIND_MS.some((limit) => before > limit && leftMs <= limit && leftMs > 0);
    if (isDue && before !== Infinity && phase === "open") say(`Ends in ${leftInWords(leftMs)}.`);
    before = leftMs;
  };
}

/** Listens to what the server tells this person about `auction` until `signal` aborts. */
function followNews(auction, say, signal) {
  const hear = (type, text, kind) => {
    const listener = ({ detail }) => detail.auction === auction && say(text, kind);
    client.addEventListener(type, listener);
    signal.addEventListener("abort", () => client.removeEventListener(type, listener));
  };
  hear("won", "You won this auction.", "good");
  hear("unsettled", UNSETTLED, "busy");
}

function layout(listing, isSeller, { panel, verdict, form, heard, seller, chart, history }) {
  const by = listing.seller_name && `Sold by ${listing.seller_name}`;
  return h("article", { class: "auction" }, [
    h("div", { class: "auction-head" }, [
      h("h1", {}, listing.title),
      h("p", { class: "quiet" }, by),
      !isSeller && watchButton(listing.id),
    ]),
    listing.image && h("div", { class: "auction-picture" }, picture(listing, { isLarge: true })),
    h("section", { class: "panel bid-panel", "aria-label": "Price and bidding" }, [
      panel,
      verdict,
      form,
      heard,
    ]),
    h("div", { class: "auction-more" }, [seller, chart, history, about(listing)]),
  ]);
}

/** Keeps the parts at the newest state. Returns a function that stops it. */
function follow(listing, firstState, isSeller, parts) {
  const { panel, form, seller, history, heard, verdict, chart } = parts;
  let sight = { state: firstState, you: null, missed: [], isLive: false };
  let phase = phaseOf(firstState, client.serverNow());
  const remind = endReminder(heard.say);
  const leads = () => Boolean(sight.you) && sight.state.leader === sight.you.label;
  const draw = () => {
    panel.update(sight, phase);
    form.update(sight, phase, isSeller);
    seller?.update(phase, sight.state);
  };
  const take = (next) => {
    const hadLead = leads();
    sight = next;
    phase = phaseOf(sight.state, client.serverNow());
    draw();
    heard.say(spoken(sight, phase, listing));
    history.update(sight);
    if (!hadLead || leads() || isOver(phase)) return;
    const minimum = money(sight.state.minimum, listing.currency);
    verdict.say(`You were outbid. The next bid is ${minimum}.`, "bad");
  };
  const tick = (now) => {
    const nextPhase = phaseOf(sight.state, now);
    if (nextPhase !== phase) {
      phase = nextPhase;
      draw();
    }
    panel.tick(sight.state, phase, now);
    remind(sight.state.ends_at_ms - now, phase);
  };
  const onError = (error) => verdict.say(error.message, "bad");
  const stopWatching = client.watch(listing.id, take, { onError });
  const stopTicking = onTick(tick);
  session.addEventListener("user", draw);
  history.onRows = (rows) =>
    chart.update(rows, Math.min(client.serverNow(), sight.state.ends_at_ms));
  draw();
  return () => {
    stopWatching();
    stopTicking();
    session.removeEventListener("user", draw);
  };
}

export async function auctionView({ parameter: auction, signal }) {
  const { listing, state, isSeller, hasBid } = await load(auction, signal);
  const { currency } = listing;
  const verdict = verdictLine();
  const parts = {
    verdict,
    heard: announcer(),
    panel: pricePanel(listing),
    form: bidForm(listing, { say: verdict.say, hasBid }),
    chart: priceChart(currency),
    history: historyList(auction, currency, signal),
    seller: isSeller ? sellerPanel(auction, currency) : null,
  };
  const stopFollowing = follow(listing, state, isSeller, parts);
  followNews(auction, verdict.say, signal);
  await parts.history.start().catch(() => {}); // the live updates fetch again what is missing
  resolveLeftovers(auction, (answer) =>
    verdict.say(
      `Your last bid: ${verdictText(answer, null, currency)}`,
      isBad(answer) ? "bad" : "good",
    ),
  );
  return {
    title: listing.title,
    node: layout(listing, isSeller, parts),
    stop: () => {
      stopFollowing();
      for (const part of [parts.heard, parts.form, parts.chart, parts.history]) part.stop();
    },
  };
}
