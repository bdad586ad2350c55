/**
 * An auction in a list: picture, title, price, time left. Its price is live while it is on screen.
 */
import { imageUrl } from "../core/api.js";
import { h, setText } from "../core/dom.js";
import { money } from "../core/money.js";
import { client } from "../core/session.js";
import { day, left, onTick } from "../core/time.js";

const SOON_MS = 10 * 60_000;

/** What the person sees of a status at a time. */
export function phaseOf({ status, starts_at_ms, ends_at_ms }, now) {
  if (status === "scheduled" && now >= starts_at_ms) return now >= ends_at_ms ? "closing" : "open";
  if (status === "open" && now >= ends_at_ms) return "closing";
  return status;
}

export const phaseNames = {
  scheduled: "Starts soon",
  open: "Open",
  closing: "Closing",
  paused: "Paused",
  sold: "Sold",
  unsold: "Not sold",
  cancelled: "Cancelled",
  draft: "Draft",
};

export const isOver = (phase) => phase === "sold" || phase === "unsold" || phase === "cancelled";

const TINTS = 3;
const tintOf = (id) =>
  [...id].reduce((sum, character) => sum + character.codePointAt(0), 0) % TINTS;

/** A picture, or a quiet tile with the first letter; always of the same shape. */
export function picture(listing, { isLarge = false } = {}) {
  const url = imageUrl(listing.image);
  const box = h("div", { class: isLarge ? "picture large" : "picture" });
  const letter = () =>
    h(
      "span",
      { class: `letter tint-${tintOf(listing.id)}`, "aria-hidden": "true" },
      [...listing.title].find((character) => /[\p{L}\p{N}]/u.test(character))?.toUpperCase() ?? "–",
    );
  if (!url) {
    box.append(letter());
    return box;
  }
  const image = h("img", {
    src: url,
    alt: isLarge ? listing.title : "",
    loading: isLarge ? "eager" : "lazy",
    decoding: "async",
  });
  image.addEventListener("error", () => image.replaceWith(letter()));
  box.append(image);
  return box;
}

function timeText(phase, state, now) {
  if (phase === "scheduled") return `Starts ${day(state.starts_at_ms)}`;
  if (phase === "open") return `${left(state.ends_at_ms - now)} left`;
  if (phase === "closing") return "Closing…";
  if (phase === "paused") return "Paused";
  return `Ended ${day(state.ends_at_ms)}`;
}

/**
 * A card. `extra(listing)` may add a line. It has `start()` and `stop()` for its live price, and
 * `end()` for good.
 */
export function card(listing, extra) {
  let state = listing;
  let stopWatching = null;
  const price = h("span", { class: "price" });
  const bids = h("span", { class: "quiet" });
  const time = h("span", { class: "time" });
  const chip = h("span", { class: "chip" });
  const node = h(
    "li",
    { class: "card" },
    h(
      "a",
      { href: `/a/${listing.id}`, class: "card-link" },
      picture(listing),
      h(
        "div",
        { class: "card-body" },
        h("h2", {}, listing.title),
        h("p", { class: "card-price" }, price, bids),
        h("p", { class: "card-time" }, chip, time),
      ),
    ),
    extra?.(listing),
  );

  const draw = (now) => {
    const phase = phaseOf(state, now);
    const shown = state.final_price ?? state.price ?? listing.start_price;
    setText(price, money(shown, listing.currency));
    setText(bids, state.bids === 1 ? "1 bid" : `${state.bids ?? 0} bids`);
    setText(chip, phaseNames[phase] ?? phase);
    chip.className = `chip ${phase}`;
    setText(time, timeText(phase, state, now));
    time.classList.toggle("soon", phase === "open" && state.ends_at_ms - now < SOON_MS);
  };
  const stopTicking = onTick(draw);
  node.start = () => {
    stopWatching ??= client.watch(listing.id, (sight) => {
      state = sight.state;
      draw(client.serverNow());
    });
  };
  node.stop = () => {
    stopWatching?.();
    stopWatching = null;
  };
  node.end = () => {
    stopTicking();
    node.stop();
  };
  return node;
}

const LIVE_MOST = 24; // connections may follow only so many auctions

/** A list of cards of which those on screen are live. */
export function cardList(label) {
  const list = h("ul", { class: "cards", "aria-label": label });
  const seen = new Set();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && seen.size < LIVE_MOST) {
          seen.add(target);
          target.start();
        } else if (!isIntersecting && seen.delete(target)) {
          target.stop();
        }
      }
    },
    { rootMargin: "80px" },
  );
  list.add = (listings, extra) => {
    for (const listing of listings) {
      const node = card(listing, extra);
      list.append(node);
      observer.observe(node);
    }
  };
  list.clear = () => {
    observer.disconnect();
    seen.clear();
    for (const node of list.children) node.end();
    list.replaceChildren();
  };
  return list;
}
