/** How bidding works here, in plain words. */
import { h } from "../core/dom.js";

const topics = [
  [
    "Your maximum, and why it stays secret",
    [
      "You tell us the most you would pay. We bid for you, one step above the next best bidder, and never more than your maximum. Nobody else sees it while it counts.",
      "If two people name the same maximum, the earlier one leads.",
    ],
  ],
  [
    "Why somebody can beat you by a cent",
    [
      "The smallest bid we accept depends on the visible price, because that is all that others may know. So a bid can land just above your hidden maximum, by as little as one cent, and win. If one cent would annoy you, name a little more than a round number.",
    ],
  ],
  [
    "When an auction ends",
    [
      "The countdown runs on our clock, not on yours. A bid is in time if it reached us before the end.",
      "Where a soft close is on, a bid in the last moments moves the end, so that everybody can answer. It counts from that bid.",
    ],
  ],
  [
    "Reserve",
    [
      "A seller may set a price below which the item is not sold. You see whether it is met, never how much it is.",
    ],
  ],
  [
    "When a bid counts",
    [
      "A price with a tick is recorded for good: it survives a crash of any of our machines. Until then it says that it is being recorded, usually for less than a second.",
      "If your connection drops while you bid, nothing is lost and nothing counts twice: the page asks what became of your bid and tells you.",
    ],
  ],
  [
    "Taking a bid back",
    [
      "A bid is binding. For a wrong amount, a changed description or a seller who cannot be reached you may retract: all your bids while more than 12 hours are left, after that only your last one, within an hour.",
    ],
  ],
  [
    "After the end",
    [
      "The winner pays the final price, not the maximum. What is due, and until when, is under My bids, Payments.",
    ],
  ],
];

export async function helpView() {
  return {
    title: "How bidding works",
    node: h(
      "article",
      { class: "prose" },
      h("h1", {}, "How bidding works"),
      topics.map(([heading, lines]) => [
        h("h2", {}, heading),
        lines.map((line) => h("p", {}, line)),
      ]),
    ),
  };
}
