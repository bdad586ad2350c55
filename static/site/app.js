/**
 * The page: header, connection banner and the router. A view is a function that gives
 * {title, node, stop}; it lives from one navigation to the next.
 */
import { api } from "./core/api.js";
import { h, setText, show } from "./core/dom.js";
import { setCurrencies } from "./core/money.js";
import { navigate, setNavigator, signInPath } from "./core/nav.js";
import { client, loadSession, session, setUser } from "./core/session.js";
import { clock, onTick } from "./core/time.js";
import { toast } from "./core/toast.js";
import { auctionView } from "./views/auction.js";
import { helpView } from "./views/help.js";
import { listView } from "./views/list.js";
import { meView } from "./views/me.js";
import { sellView } from "./views/sell.js";
import { joinView, loginView, signOutButton } from "./views/sign.js";

const routes = [
  [/^\/$/, listView],
  [/^\/a\/([0-9a-z]{13})$/, auctionView],
  [/^\/sell$/, sellView, "user"],
  [/^\/me(?:\/(bids|selling|watched|payments))?$/, meView, "user"],
  [/^\/login$/, loginView],
  [/^\/join$/, joinView],
  [/^\/help$/, helpView],
];

const main = document.getElementById("main");
let current = { stop: () => {} };
let visit = new AbortController();

async function missingView() {
  return {
    title: "Not found",
    node: h(
      "div",
      { class: "message" },
      h("h1", {}, "There is no such page"),
      h("p", {}, "The address may be mistyped, or what was here is gone."),
      h("p", {}, h("a", { class: "button main", href: "/" }, "See all auctions")),
    ),
  };
}

function failedView(error, retry) {
  const isMissing = error.status === 404;
  return {
    title: isMissing ? "Not found" : "Something went wrong",
    node: h(
      "div",
      { class: "message", role: "alert" },
      h("h1", {}, isMissing ? "There is no such auction" : "This page could not be loaded"),
      h(
        "p",
        {},
        isMissing ? "It may have been private, or the address is mistyped." : error.message,
      ),
      isMissing
        ? h("a", { class: "button main", href: "/" }, "See all auctions")
        : h("button", { class: "button main", type: "button", onclick: retry }, "Try again"),
    ),
  };
}

function match(path) {
  for (const [pattern, view, needs] of routes) {
    const found = pattern.exec(path);
    if (found) return { view, needs, parameter: found[1] };
  }
  return { view: missingView };
}

async function render({ isFirst = false } = {}) {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  const { view, needs, parameter } = match(location.pathname);
  if (needs === "user" && !session.user) {
    navigate(signInPath(), { replace: true });
    return;
  }
  main.setAttribute("aria-busy", "true");
  let next;
  try {
    next = await view({ signal, parameter });
  } catch (error) {
    if (signal.aborted) return;
    next = failedView(error, () => render());
  }
  if (signal.aborted) {
    next.stop?.();
    return;
  }
  current.stop?.();
  current = next;
  main.replaceChildren(next.node);
  main.removeAttribute("aria-busy");
  document.title = next.title ? `${next.title} – QuickBid` : "QuickBid: live auctions";
  markCurrent();
  if (isFirst) return;
  // Like a page load: start at the top, and let a screen reader begin with the heading.
  const heading = main.querySelector("h1");
  heading?.setAttribute("tabindex", "-1");
  (heading ?? main).focus({ preventScroll: true });
  scrollTo(0, next.keepScroll ? scrollY : 0);
}

setNavigator((path, { replace }) => {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  render();
});
addEventListener("popstate", () => render());

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  const isPlain =
    event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || event.defaultPrevented || link.target || link.origin !== location.origin)
    return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
});

// The header.

function headerLinks() {
  const help = h("a", { href: "/help" }, "Help");
  const sell = h("a", { href: "/sell" }, "Sell");
  if (!session.user)
    return [sell, help, h("a", { href: "/login", class: "button main small" }, "Sign in")];
  return [
    sell,
    h("a", { href: "/me/bids" }, "My bids"),
    help,
    signOutButton("button small wide-only"),
  ];
}

function drawHeader() {
  document.getElementById("links").replaceChildren(...headerLinks());
  markCurrent();
}

function markCurrent() {
  for (const link of document.querySelectorAll("#links a")) {
    const isHere =
      link.pathname === location.pathname ||
      (link.pathname === "/me/bids" && location.pathname.startsWith("/me"));
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// The connection: said only when it is not there, and only if it stays away for a moment.

const BANNER_AFTER_MS = 1_500;
const lostWords = { offline: "You are offline.", closed: "Live prices have stopped." };

function followConnection() {
  const banner = document.getElementById("banner");
  const again = h(
    "button",
    { type: "button", class: "link", onclick: () => client.reconnect() },
    "Try now",
  );
  const text = h("span", {});
  banner.append(text, " ", again);
  show(banner, false);
  let sinceMs = null;
  let timer;
  const say = (words) => {
    sinceMs ??= client.serverNow();
    timer ??= setTimeout(() => show(banner, true), BANNER_AFTER_MS);
    setText(text, `${words} What you see is as of ${clock(sinceMs)}.`);
  };
  const hush = () => {
    clearTimeout(timer);
    timer = undefined;
    sinceMs = null;
    show(banner, false);
  };
  const draw = () => {
    if (client.isBehind) say("Live updates are interrupted.");
    else if (client.status === "live" || client.status === "idle") hush();
    else say(lostWords[client.status] ?? "Reconnecting…");
  };
  client.addEventListener("status", draw);
  client.addEventListener("stale", ({ detail }) => {
    sinceMs ??= detail.since_ms; // the server had lost touch before it said so
    draw();
  });
  onTick(draw);
}

function followNews() {
  client.addEventListener("outbid", ({ detail }) => {
    if (location.pathname === `/a/${detail.auction}`) return;
    toast("You were outbid.", {
      kind: "bad",
      href: `/a/${detail.auction}`,
      linkText: "Look at it",
    });
  });
  client.addEventListener("won", ({ detail }) =>
    toast(`You won${detail.title ? `: ${detail.title}` : " an auction"}.`, {
      kind: "good",
      href: `/a/${detail.auction}`,
    }),
  );
  client.addEventListener("notice", ({ detail }) => toast(detail.message));
  client.addEventListener("signedout", () => {
    toast("You have been signed out.", { href: "/login", linkText: "Sign in" });
    setUser(null);
  });
  session.addEventListener("user", () => {
    drawHeader();
    if (match(location.pathname).needs === "user" && !session.user)
      navigate("/login", { replace: true });
  });
}

async function start() {
  followConnection();
  followNews();
  const basics = api("GET", "/api/categories").then((answer) => {
    session.categories = answer.categories;
    session.currencies = answer.currencies;
    session.increments = answer.increments ?? [];
    setCurrencies(answer.currencies);
  });
  const results = await Promise.allSettled([basics, loadSession()]);
  drawHeader();
  client.connect();
  await render({ isFirst: true });
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) toast(failed.reason.message, { kind: "bad" });
}

start();
