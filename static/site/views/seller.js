/** What a seller may do with an auction of their own. */
import { api } from "../core/api.js";
import { actionButton, confirm, field, h, setText, show } from "../core/dom.js";
import { money, parseMoney } from "../core/money.js";

const questions = {
  pause: {
    title: "Pause bidding?",
    text: "Nobody can bid until you resume. The time left is kept.",
    yes: "Pause",
  },
  resume: {
    title: "Resume bidding?",
    text: "The auction goes on with the time that was left, at least two minutes.",
    yes: "Resume",
  },
  cancel: {
    title: "Cancel this auction?",
    text: "It ends without a sale. This cannot be undone, and bidders are told.",
    yes: "Cancel the auction",
    no: "Keep it",
    isGrave: true,
  },
};
const done = {
  pause: "Bidding is paused.",
  resume: "Bidding goes on.",
  cancel: "The auction was cancelled.",
  reserve: "The reserve was lowered.",
  block: "This bidder can bid here no more. Bids made before stay.",
  unblock: "This bidder may bid here again.",
};

const LABEL_CHARACTERS = 5;

/** Lowers the reserve, after asking. */
function reserveForm(currency, send) {
  const amount = h("input", { type: "text", inputmode: "decimal", autocomplete: "off" });
  const row = field(`New reserve in ${currency}`, amount, {
    hint: "It can only go down, and only while 12 hours or more are left.",
  });
  const submit = async (event) => {
    event.preventDefault();
    const reserve = parseMoney(amount.value, currency);
    row.setError(reserve ? null : "Write an amount.");
    if (!reserve) return;
    const question = {
      title: `Lower the reserve to ${money(reserve, currency)}?`,
      text: "It cannot be raised again.",
      yes: "Lower it",
    };
    if ((await confirm(question)) && (await send("reserve", { reserve }))) amount.value = "";
  };
  return h("form", { class: "inline-form", novalidate: true, onsubmit: submit }, [
    row,
    h("button", { class: "button" }, "Lower reserve"),
  ]);
}

/** Blocks and unblocks by pseudonym, as the list of bids shows it. */
function blockForm(send) {
  const input = h("input", {
    type: "text",
    autocomplete: "off",
    autocapitalize: "characters",
    maxlength: LABEL_CHARACTERS,
  });
  const row = field("Bidder", input, { hint: "The five characters from the list of bids." });
  const act = (name, text) =>
    actionButton(text, { class: "button" }, async () => {
      const label = input.value.trim().toUpperCase();
      const isLabel = label.length === LABEL_CHARACTERS;
      row.setError(isLabel ? null : "Write the bidder's five characters, like K7Q2F.");
      if (isLabel && (await send(name, { label }))) input.value = "";
    });
  return h("details", { class: "why" }, [
    h("summary", {}, "Block a bidder"),
    row,
    h("div", { class: "actions start" }, act("block", "Block"), act("unblock", "Unblock")),
  ]);
}

/** `update(phase, state)`; the caller decides whether it is the seller who looks. */
export function sellerPanel(auction, currency) {
  const said = h("p", { class: "verdict", role: "status" });
  /** Does one thing; true when it was done. */
  const send = async (act, body) => {
    try {
      await api("POST", `/api/auctions/${auction}/${act}`, { body });
      setText(said, done[act]);
      return true;
    } catch (error) {
      setText(said, error.message);
      return false;
    }
  };
  const button = (act, text, kind) =>
    actionButton(text, { class: kind }, async () => {
      if (await confirm(questions[act])) await send(act, {});
    });
  const pause = button("pause", "Pause", "button");
  const resume = button("resume", "Resume", "button main");
  const cancel = button("cancel", "Cancel auction", "button grave");
  const lower = reserveForm(currency, send);
  const block = blockForm(send);
  const node = h("section", { class: "panel stack", "aria-labelledby": "seller-title" }, [
    h("h2", { id: "seller-title" }, "Your auction"),
    h("div", { class: "actions start" }, pause, resume, cancel),
    lower,
    block,
    said,
  ]);
  node.update = (phase, state) => {
    const isRunning = phase === "open" || phase === "closing";
    const isAlive = isRunning || phase === "paused" || phase === "scheduled";
    show(pause, isRunning);
    show(resume, phase === "paused");
    show(cancel, isAlive);
    show(lower, isAlive && phase !== "paused" && state.reserve === "not_met");
    show(block, isAlive);
  };
  return node;
}
