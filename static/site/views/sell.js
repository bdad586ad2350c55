/** Putting something up for auction. */
import { api } from "../core/api.js";
import { field, h, select, setText, show } from "../core/dom.js";
import { money, parseMoney } from "../core/money.js";
import { navigate } from "../core/nav.js";
import { addOwn } from "../core/mine.js";
import { client, session } from "../core/session.js";
import { newKey } from "../sdk/quickbid.js";
import { categories, title } from "./list.js";

const IMAGE_BYTES_MAX = 2 * 1024 * 1024;
const TITLE_BYTES_MAX = 200;
const DESCRIPTION_BYTES_MAX = 8000;
const bytes = (text) => new TextEncoder().encode(text).length;
const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp"];
const stepNames = {
  EBAY_US: "As at eBay, United States",
  TRADE_ME: "As at Trade Me",
  MAXSOLD: "As at MaxSold",
  WHATNOT: "As at Whatnot",
  COPART: "As at Copart",
};
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const durations = [
  [10 * MINUTE, "10 minutes"],
  [60 * MINUTE, "1 hour"],
  [DAY, "1 day"],
  [3 * DAY, "3 days"],
  [7 * DAY, "7 days"],
  [10 * DAY, "10 days"],
].map(([ms, words]) => [String(ms), words]);
const UNTIL = "until";
const softCloses = [
  ["catalogue", "2 minutes: each late bid gives 2 more"],
  ["live", "10 seconds: each late bid gives 10 more"],
  ["own", "My own times"],
  ["none", "None: it ends at the second"],
];
const LIVE_MS = 10_000;
const selfRaises = [
  ["complete", "The price always follows the two best maxima"],
  ["hold", "A leader's own raise never moves the price"],
];
const retractions = [
  ["reinstate", "The next best bid leads again"],
  ["no_revive", "All earlier bids fall away"],
];
const reserveStyles = [
  ["hidden", "The price follows competition only"],
  ["show_max", "The price jumps to the best maximum below it"],
];

function picturePicker() {
  const input = h("input", { type: "file", accept: IMAGE_TYPES.join(",") });
  const row = field("Picture", input, {
    optional: true,
    hint: "PNG, JPEG or WebP, at most 2 MiB.",
  });
  const image = h("img", { class: "thumbnail", alt: "Your picture" });
  show(image, false);
  row.append(image);
  let file = null;
  input.addEventListener("change", () => {
    file = input.files[0] ?? null;
    const problem = !file
      ? null
      : !IMAGE_TYPES.includes(file.type)
        ? "This is not a PNG, JPEG or WebP picture."
        : file.size > IMAGE_BYTES_MAX
          ? "This picture is larger than 2 MiB. Make it smaller, then choose it again."
          : null;
    row.setError(problem);
    if (problem) file = null;
    if (image.src) URL.revokeObjectURL(image.src);
    if (file) image.src = URL.createObjectURL(file);
    show(image, file !== null);
  });
  return {
    row,
    upload: async () =>
      file === null
        ? undefined
        : (await api("POST", "/api/images", { body: file, headers: { "Content-Type": file.type } }))
            .image,
  };
}

const text = (props) => h("input", { type: "text", autocomplete: "off", ...props });
const countInput = (value) => text({ inputmode: "numeric", maxlength: "6", value });
const amountInput = () => text({ inputmode: "decimal", maxlength: "24" });

function makeFields() {
  const names = session.currencies.map(({ code }) => [code, code]);
  const controls = {
    title: text({ maxlength: "120", required: true }),
    description: h("textarea", { rows: "5", maxlength: "8000" }),
    category: select(categories(), categories()[0]?.[0], {}),
    currency: select(names, names[0]?.[0], {}),
    start: amountInput(),
    reserve: amountInput(),
    buyNow: amountInput(),
    startsAt: h("input", { type: "datetime-local" }),
    duration: select([...durations, [UNTIL, "Until a date"]], String(7 * DAY), {}),
    endsAt: h("input", { type: "datetime-local" }),
    softClose: select(softCloses, "catalogue", {}),
    windowS: countInput("120"),
    extendS: countInput("120"),
    extensionsMost: countInput("0"),
    increments: select(
      [
        ["", "Standard, by price"],
        ...session.increments.map((name) => [name, stepNames[name] ?? title(name.toLowerCase())]),
      ],
      "",
      {},
    ),
    tick: amountInput(),
    selfRaise: select(selfRaises, "complete", {}),
    retraction: select(retractions, "reinstate", {}),
    reserveStyle: select(reserveStyles, "hidden", {}),
    isPrivate: h("input", { type: "checkbox" }),
    withoutReserve: h("input", { type: "checkbox" }),
  };
  const rows = {
    title: field("Title", controls.title, { wide: true, hint: "What it is, in a few words." }),
    description: field("Description", controls.description, {
      wide: true,
      optional: true,
      hint: "Condition, measures, shipping. Bidders rely on it.",
    }),
    category: field("Category", controls.category),
    currency: field("Currency", controls.currency),
    start: field("Starting price", controls.start, { hint: "The lowest first bid." }),
    reserve: field("Reserve", controls.reserve, {
      optional: true,
      hint: "Below it the item is not sold. Kept secret.",
    }),
    buyNow: field("Buy-now price", controls.buyNow, {
      optional: true,
      hint: "At least 130 % of the start, and not below the reserve.",
    }),
    startsAt: field("Starts", controls.startsAt, { optional: true, hint: "Empty: at once." }),
    duration: field("Runs for", controls.duration),
    endsAt: field("Ends", controls.endsAt),
    softClose: field("Late bids", controls.softClose, {
      hint: "Bids near the end move it, so that everybody can answer.",
    }),
    windowS: field("Late means the last (seconds)", controls.windowS),
    extendS: field("A late bid gives (seconds)", controls.extendS),
    extensionsMost: field("At most so many times", controls.extensionsMost, {
      hint: "0: as often as it takes.",
    }),
    increments: field("Bid steps", controls.increments),
    tick: field("Whole multiples of", controls.tick, {
      optional: true,
      hint: "Empty: any amount.",
    }),
    selfRaise: field("When the leader raises", controls.selfRaise),
    retraction: field("When a bid is taken back", controls.retraction),
    reserveStyle: field("Below the reserve", controls.reserveStyle),
  };
  const adapt = () => {
    show(rows.endsAt, controls.duration.value === UNTIL);
    for (const name of ["windowS", "extendS", "extensionsMost"])
      show(rows[name], controls.softClose.value === "own");
  };
  controls.duration.addEventListener("change", adapt);
  controls.softClose.addEventListener("change", adapt);
  adapt();
  return { controls, rows };
}

const check = (control, words, hint) =>
  h("label", { class: "check" }, control, h("span", {}, words, h("span", { class: "hint" }, hint)));

/** Reads the form. Null when something is wrong; then the first wrong field has the focus. */
function read({ controls, rows }) {
  let first = null;
  const fail = (name, words) => {
    rows[name].setError(words);
    first ??= controls[name];
    return undefined;
  };
  for (const row of Object.values(rows)) row.setError(null);
  const currency = controls.currency.value;
  const amount = (name, isRequired) => {
    const typed = controls[name].value.trim();
    if (typed === "" && !isRequired) return undefined;
    return (
      parseMoney(typed, currency) ||
      fail(name, `Write an amount in ${currency}, like ${money(1000, currency)}.`)
    );
  };
  const count = (name, least) => {
    const typed = controls[name].value.trim();
    return /^\d+$/.test(typed) && Number(typed) >= least
      ? Number(typed)
      : fail(name, `Write a whole number, ${least} or more.`);
  };
  const date = (name) =>
    controls[name].value === "" ? undefined : new Date(controls[name].value).getTime();

  const name = controls.title.value.trim();
  const description = controls.description.value.trim();
  if (name === "") fail("title", "Give it a title.");
  if (bytes(name) > TITLE_BYTES_MAX) fail("title", "This title is too long. Shorten it.");
  if (bytes(description) > DESCRIPTION_BYTES_MAX)
    fail("description", "This is too long. Shorten it.");
  const wanted = {
    title: name,
    description,
    category: controls.category.value,
    currency,
    start_price: amount("start", true),
    reserve: amount("reserve", false),
    buy_now: amount("buyNow", false),
    tick: amount("tick", false),
    starts_at_ms: date("startsAt"),
    ...readEnd(controls, date, fail),
    soft_close: readSoftClose(controls, count),
    increments: controls.increments.value || undefined,
    self_raise: controls.selfRaise.value,
    retraction: controls.retraction.value,
    reserve_style: controls.reserveStyle.value,
    private: controls.isPrivate.checked,
    without_reserve: controls.withoutReserve.checked,
  };
  checkPrices(wanted, currency, fail);
  if (wanted.starts_at_ms < client.serverNow() - MINUTE)
    fail("startsAt", "This is in the past. Leave it empty to start at once.");
  first?.focus();
  return first ? null : wanted;
}

function checkPrices(
  { start_price: start, reserve, buy_now: buyNow, without_reserve: isWithout },
  currency,
  fail,
) {
  if (reserve < start)
    fail(
      "reserve",
      "The reserve cannot be below the starting price. Leave it empty to sell from there.",
    );
  if (isWithout && reserve !== undefined)
    fail("reserve", "An auction without reserve has none. Clear one of the two.");
  const buyNowLeast = Math.max(Math.ceil((start ?? 0) * 1.3), reserve ?? 0);
  if (buyNow < buyNowLeast) fail("buyNow", `This must be ${money(buyNowLeast, currency)} or more.`);
}

function readEnd(controls, date, fail) {
  if (controls.duration.value !== UNTIL) return { duration_ms: Number(controls.duration.value) };
  const endsAt = date("endsAt");
  const from = date("startsAt") ?? client.serverNow();
  return {
    ends_at_ms:
      endsAt > from + MINUTE
        ? endsAt
        : fail("endsAt", "Choose a time at least a minute after the start."),
  };
}

/** Undefined leaves the server's default, null is none. */
function readSoftClose(controls, count) {
  switch (controls.softClose.value) {
    case "live":
      return { window_ms: LIVE_MS, extend_ms: LIVE_MS };
    case "none":
      return null;
    case "own":
      return {
        window_ms: count("windowS", 1) * 1000,
        extend_ms: count("extendS", 1) * 1000,
        max_extensions: count("extensionsMost", 0),
      };
    default:
      return undefined;
  }
}

export async function sellView() {
  const parts = makeFields();
  const { controls, rows } = parts;
  const picker = picturePicker();
  const error = h("p", { class: "form-error", role: "alert" });
  const send = h("button", { class: "button main big" }, "Publish auction");
  let sent = {};
  const submit = async (event) => {
    event.preventDefault();
    if (send.getAttribute("aria-disabled") === "true") return;
    setText(error, "");
    const wanted = read(parts);
    if (wanted === null) return;
    send.setAttribute("aria-disabled", "true");
    setText(send, "Publishing…");
    try {
      const image = await picker.upload();
      const body = { ...wanted, ...(image && { image }) };
      const text = JSON.stringify(body);
      // Sent again after a lost answer, the same auction is not made twice.
      if (sent.text !== text) sent = { text, key: newKey() };
      const { auction } = await api("POST", "/api/auctions", {
        body,
        headers: { "Idempotency-Key": sent.key },
      });
      addOwn(auction.id);
      navigate(`/a/${auction.id}`);
    } catch (problem) {
      if (problem.code === "key_reused") sent = {};
      setText(error, problem.message);
    } finally {
      send.removeAttribute("aria-disabled");
      setText(send, "Publish auction");
    }
  };
  const group = (legend, ...children) =>
    h(
      "fieldset",
      { class: "panel group" },
      h("legend", {}, legend),
      h("div", { class: "fields" }, children),
    );
  return {
    title: "Sell",
    node: h(
      "form",
      { class: "sell", novalidate: true, onsubmit: submit },
      h("h1", {}, "Sell something"),
      group("The item", rows.title, rows.description, rows.category, picker.row),
      group(
        "The price",
        rows.currency,
        rows.start,
        rows.reserve,
        rows.buyNow,
        check(
          controls.withoutReserve,
          "Without reserve",
          "Sold to the highest bidder whatever the price. It cannot be withdrawn after the first bid.",
        ),
      ),
      group(
        "The time",
        rows.startsAt,
        rows.duration,
        rows.endsAt,
        rows.softClose,
        rows.windowS,
        rows.extendS,
        rows.extensionsMost,
        check(
          controls.isPrivate,
          "Private",
          "Not in the lists. Only people with the address find it.",
        ),
      ),
      h(
        "details",
        { class: "panel rules" },
        h("summary", {}, "More rules"),
        h(
          "div",
          { class: "fields" },
          rows.increments,
          rows.tick,
          rows.selfRaise,
          rows.retraction,
          rows.reserveStyle,
        ),
      ),
      error,
      send,
    ),
  };
}
