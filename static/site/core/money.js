/**
 * Amounts are integers in minor units; what a person reads and types is made and read here, with
 * as many decimals as the currency has. No amount ever goes through a fraction.
 */

const decimalsOf = new Map([
  ["USD", 2],
  ["EUR", 2],
  ["GBP", 2],
  ["JPY", 0],
]);
const formats = new Map();

/** Takes the list of GET /api/categories. */
export function setCurrencies(currencies) {
  for (const { code, decimals } of currencies) decimalsOf.set(code, decimals);
}

export function decimals(currency) {
  return decimalsOf.get(currency) ?? 2;
}

/** 1050 in a currency of 2 decimals is "10.50". */
export function plain(minor, currency) {
  const places = decimals(currency);
  const digits = String(minor).padStart(places + 1, "0");
  return places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

/** As the person's language writes it, with the currency: "$10.50". */
export function money(minor, currency) {
  if (minor === null || minor === undefined) return "–";
  let format = formats.get(currency);
  if (!format) {
    const places = decimals(currency);
    const options = { minimumFractionDigits: places, maximumFractionDigits: places };
    try {
      format = new Intl.NumberFormat(undefined, { style: "currency", currency, ...options });
    } catch {
      const number = new Intl.NumberFormat(undefined, options);
      format = { format: (value) => `${currency} ${number.format(value)}` };
    }
    formats.set(currency, format);
  }
  // Text, not a number: engines that can will then not round at all.
  return format.format(plain(minor, currency));
}

const localeDecimal =
  new Intl.NumberFormat(undefined).formatToParts(1.5).find((part) => part.type === "decimal")
    ?.value ?? ".";

const CURRENCY = /^(?:\p{Sc}|[A-Z]{1,3}\p{Sc}?)|(?:\p{Sc}|[A-Z]{3})$/gu;
const WHOLE = /^(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,3}(?:\.\d{3})+)?$/; // groups of three, if any

/**
 * Reads what a person typed: "1234.5", "1,234.50", "1 234,50 €". Null if it is not an amount, has
 * more decimals than the currency, or could mean two things: a wrong bid costs money, a second
 * look does not.
 */
export function parseMoney(text, currency) {
  const places = decimals(currency);
  const cleaned = text.replace(/[\s'’\u00a0\u202f]/g, "").replace(CURRENCY, "");
  if (!/^[\d.,]*\d[\d.,]*$/.test(cleaned)) return null;
  const at = decimalAt(cleaned);
  const whole = cleaned.slice(0, at);
  const part = cleaned.slice(at + 1);
  if (!WHOLE.test(whole) || whole.includes(cleaned[at]) || part.length > places) return null;
  const minor = Number(whole.replace(/[.,]/g, "") + part.padEnd(places, "0"));
  return Number.isSafeInteger(minor) ? minor : null;
}

/** Where the decimal mark is; the length of the text if all marks only group. */
function decimalAt(text) {
  const at = Math.max(text.lastIndexOf("."), text.lastIndexOf(","));
  const mark = text[at];
  if (at < 0 || text.indexOf(mark) !== at) return text.length; // "1,234,567"
  const isGroup =
    text.length - at === 4 && mark !== localeDecimal && !/[.,]/.test(text.slice(0, at));
  return isGroup ? text.length : at; // "1,234" where a comma groups
}
