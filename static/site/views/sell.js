/** Putting something up for auction. */
import { api } from "../core/api.js";
import { field, h, select, setText, show } from "../core/dom.js";
import { money, parseMoney } from "../core/money.js";
import { navigate } from "../core/nav.js";
import { addOwn } from "../core/mine.js";
import { client, session } from "../core/session.js";
import { categories, title } from "./list.js";

const IMAGE_BYTES_MAX = 2 * 1024 * 1024;
const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp"];
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const durations = [[10 * MINUTE, "10 minutes"], [60 * MINUTE, "1 hour"], [DAY, "1 day"], [3 * DAY, "3 days"], [7 * DAY, "7 days"], [10 * DAY, "10 days"]];
const softCloses = [["catalogue", "2 minutes: each late bid gives 2 more"], ["live", "10 seconds: each late bid gives 10 more"], ["none", "None: it ends at the second"]];
const softCloseOf = { live: { window_ms: 10_000, extend_ms: 10_000 }, none: null };

function picturePicker() {
  const input = h("input", { type: "file", accept: IMAGE_TYPES.join(",") });
  const row = field("Picture", input, { optional: true, hint: "PNG, JPEG or WebP, at most 2 MiB." });
  const image = h("img", { class: "thumbnail", alt: "Your picture" });
  show(image, false);
  row.append(image);
  let file = null;
  input.addEventListener("change", () => {
    file = input.files[0] ?? null;
    const problem = !file ? null : !IMAGE_TYPES.includes(file.type) ? "This is not a PNG, JPEG or WebP picture."
      : file.size > IMAGE_BYTES_MAX ? "This picture is larger than 2 MiB. Make it smaller, then choose it again." : null;
    row.setError(problem);
    if (problem) file = null;
    if (image.src) URL.revokeObjectURL(image.src);
    if (file) image.src = URL.createObjectURL(file);
    show(image, file !== null);
  });
  return { row, upload: async () => file === null ? undefined
    : (await api("POST", "/api/images", { body: file, headers: { "Content-Type": file.type } })).image };
}

const text = (props) => h("input", { type: "text", autocomplete: "off", ...props });
const amountInput = () => text({ inputmode: "decimal", maxlength: "24" });

function makeFields() {
  const names = session.currencies.map(({ code }) => [code, code]);
  const controls = {
    title: text({ maxlength: "120", required: true }),
    description: h("textarea", { rows: "5", maxlength: "10000" }),
    category: select(categories(), categories()[0]?.[0], {}),
    currency: select(names, names[0]?.[0], {}),
    start: amountInput(), reserve: amountInput(), buyNow: amountInput(),
    startsAt: h("input", { type: "datetime-local" }),
    duration: select(durations.map(([ms, words]) => [String(ms), words]), String(7 * DAY), {}),
    softClose: select(softCloses, "catalogue", {}),
    increments: select([["", "Standard, by price"], ...session.increments.map((name) => [name, title(name.toLowerCase())])], "", {}),
    isPrivate: h("input", { type: "checkbox" }), withoutReserve: h("input", { type: "checkbox" }),
  };
  const rows = {
    title: field("Title", controls.title, { wide: true, hint: "What it is, in a few words." }),
    description: field("Description", controls.description, { wide: true, optional: true, hint: "Condition, measures, shipping. Bidders rely on it." }),
    category: field("Category", controls.category),
    currency: field("Currency", controls.currency),
    start: field("Starting price", controls.start, { hint: "The lowest first bid." }),
    reserve: field("Reserve", controls.reserve, { optional: true, hint: "Below it the item is not sold. Kept secret." }),
    buyNow: field("Buy-now price", controls.buyNow, { optional: true, hint: "At least 130 % of the start, and not below the reserve." }),
    startsAt: field("Starts", controls.startsAt, { optional: true, hint: "Empty: at once." }),
    duration: field("Runs for", controls.duration),
    softClose: field("Late bids", controls.softClose, { hint: "Bids near the end move it, so that everybody can answer." }),
    increments: field("Bid steps", controls.increments),
  };
  return { controls, rows };
}

const check = (control, words, hint) => h("label", { class: "check" }, control, h("span", {}, words, h("span", { class: "hint" }, hint)));

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
    const minor = parseMoney(typed, currency);
    return minor === null || minor === 0 ? fail(name, `Write an amount in ${currency}, like ${money(1000, currency)}.`) : minor;
  };
  const name = controls.title.value.trim();
  if (name === "") fail("title", "Give it a title.");
  const start = amount("start", true);
  const reserve = amount("reserve", false);
  const buyNow = amount("buyNow", false);
  if (reserve !== undefined && start !== undefined && reserve < start) fail("reserve", "The reserve cannot be below the starting price. Leave it empty to sell from there.");
  const buyNowLeast = Math.max(Math.ceil((start ?? 0) * 1.3), reserve ?? 0);
  if (buyNow !== undefined && buyNow < buyNowLeast) fail("buyNow", `This must be ${money(buyNowLeast, currency)} or more.`);
  const startsAt = controls.startsAt.value === "" ? undefined : new Date(controls.startsAt.value).getTime();
  if (startsAt !== undefined && startsAt < client.serverNow() - MINUTE) fail("startsAt", "This is in the past. Leave it empty to start at once.");
  if (controls.withoutReserve.checked && reserve !== undefined) fail("reserve", "An auction without reserve has none. Clear one of the two.");
  first?.focus();
  if (first) return null;
  return { title: name, description: controls.description.value.trim(), category: controls.category.value, currency, start_price: start,
    ...(reserve !== undefined && { reserve }), ...(buyNow !== undefined && { buy_now: buyNow }),
    ...(startsAt !== undefined && { starts_at_ms: startsAt }), duration_ms: Number(controls.duration.value),
    ...(controls.softClose.value !== "catalogue" && { soft_close: softCloseOf[controls.softClose.value] }),
    ...(controls.increments.value && { increments: controls.increments.value }),
    ...(controls.isPrivate.checked && { private: true }), ...(controls.withoutReserve.checked && { without_reserve: true }) };
}

export async function sellView() {
  const parts = makeFields();
  const { controls, rows } = parts;
  const picker = picturePicker();
  const error = h("p", { class: "form-error", role: "alert" });
  const send = h("button", { class: "button main big" }, "Publish auction");
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
      const { auction } = await api("POST", "/api/auctions", { body: { ...wanted, ...(image && { image }) } });
      addOwn(auction.id);
      navigate(`/a/${auction.id}`);
    } catch (problem) {
      setText(error, problem.message);
    } finally {
      send.removeAttribute("aria-disabled");
      setText(send, "Publish auction");
    }
  };
  const group = (legend, ...children) => h("fieldset", { class: "panel group" }, h("legend", {}, legend), h("div", { class: "fields" }, children));
  return { title: "Sell", node: h("form", { class: "sell", novalidate: true, onsubmit: submit },
    h("h1", {}, "Sell something"),
    group("The item", rows.title, rows.description, rows.category, picker.row),
    group("The price", rows.currency, rows.start, rows.reserve, rows.buyNow, rows.increments,
      check(controls.withoutReserve, "Without reserve", "Sold to the highest bidder whatever the price. It cannot be withdrawn after the first bid.")),
    group("The time", rows.startsAt, rows.duration, rows.softClose,
      check(controls.isPrivate, "Private", "Not in the lists. Only people with the address find it.")),
    error, send) };
}
