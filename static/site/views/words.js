/** What a verdict, a refusal or a state means, in a sentence that says what to do. */
import { money } from "../core/money.js";

export function verdictText({ verdict, price, minimum }, max, currency) {
  const now =
    price === null || price === undefined ? "" : ` The price is ${money(price, currency)}.`;
  switch (verdict) {
    case "leading":
      return `You lead.${now}${max !== null ? ` Your maximum is ${money(max, currency)}.` : ""}`;
    case "raised":
      return `${max === null ? "Your maximum is raised" : `Your maximum is now ${money(max, currency)}`}.${now}`;
    case "outbid":
      return `Your bid counts, but somebody's maximum is at least as high.${now} The next bid is ${money(minimum, currency)}.`;
    case "bought":
      return `It is yours for ${money(price ?? max, currency)}. See My bids, Payments.`;
    case "done":
      return `Done.${now}`;
    case "void":
      return "This did not take effect and never will. You can try again.";
    default:
      return `Answer of the server: ${verdict}.`;
  }
}

const refusals = {
  not_started: "Bidding has not started yet. Come back when it opens.",
  paused: "The auction is paused. Bidding goes on when it resumes.",
  ended: "Bidding has ended.",
  cancelled: "This auction was cancelled.",
  seller: "Sellers cannot bid on their own auctions.",
  blocked: "The seller has blocked you from bidding here. Ask the seller or support.",
  not_above_own_max: "You lead already with this maximum or more. It can be raised, not lowered.",
  limit: "This would exceed your bidding limit. Bid less, or have the limit raised.",
  buy_now_gone: "Buy-now is no longer offered. You can still bid.",
  login_required: "You are not signed in any more. Sign in, then look whether your bid counts.",
  disconnected: "There is no connection right now. It comes back by itself; nothing was sent.",
  not_sent: "There was no connection, so nothing was sent. Bid again when the page is live.",
};

/** An error of the client module or a refusal; what the server said comes last. */
export function refusalText(error, currency) {
  const { code, minimum, message } = error;
  if (code === "too_low" && typeof minimum === "number")
    return `Somebody was faster. Bid ${money(minimum, currency)} or more.`;
  return refusals[code] ?? (message || "The server refused this. Try again in a moment.");
}

export const reserveText = { none: "No reserve", not_met: "Reserve not met", met: "Reserve met" };

/** How an auction ended, for whoever looks. */
export function outcomeText(state, you) {
  if (state.status === "cancelled") return "This auction was cancelled. Nothing was sold.";
  if (state.status === "unsold") {
    return state.outcome === "reserve_not_met"
      ? "Not sold: the reserve was not met."
      : "Not sold: nobody bid.";
  }
  const price = money(state.final_price ?? state.price, state.currency);
  if (you && state.winner === you.label) return `You won. It is yours for ${price}.`;
  const how = state.outcome === "buy_now" ? "Bought now" : "Sold";
  return `${how} for ${price}${state.winner ? ` to bidder ${state.winner}` : ""}.`;
}
