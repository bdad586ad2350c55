/**
 * Amounts are integers in minor units; what a person reads and types is made and read here, with
 * as many decimals as the currency has. No amount ever goes through a fraction.
 */

const decimalsOf = new Map([["USD", 2], ["EUR", 2], ["GBP", 2], ["JPY", 0]]);
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

const localeDecimal = new Intl.NumberFormat(undefined).formatToParts(1.5)
  .find((part) => part.type === "decimal")?.value ?? ".";

/**
 * Reads what a person typed: "1234.5", "1,234.50", "1 234,50". Null if it is not an amount, or
 * has more decimals than the currency.
 */
export function parseMoney(text, currency) {
  const places = decimals(currency);
  const cleaned = text.replace(/[\s'’\u00a0\u202f]/g, "").replace(/^[^\d.,-]+|[^\d.,]+$/g, "");
  if (!/^\d[\d.,]*$|^[.,]\d+$/.test(cleaned)) return null;
  const mark = decimalMark(cleaned, places);
  const at = mark ? cleaned.lastIndexOf(mark) : -1;
  const whole = (at < 0 ? cleaned : cleaned.slice(0, at)).replace(/[.,]/g, "");
  const part = at < 0 ? "" : cleaned.slice(at + 1);
  if (part.length > places || !/^\d*$/.test(part)) return null;
  const minor = Number((whole || "0") + part.padEnd(places, "0"));
  return Number.isSafeInteger(minor) ? minor : null;
}

/** Which of the characters in `text` is the decimal one; null: none, they only group. */
function decimalMark(text, places) {
  const marks = [...text.matchAll(/[.,]/g)].map((match) => match[0]);
  if (marks.length === 0) return null;
  const last = marks[marks.length - 1];
  if (marks.indexOf(last) !== marks.length - 1) return null; // "1,234,567"
  if (marks.length > 1) return last; // "1,234.50"
  const digitsAfter = text.length - 1 - text.indexOf(last);
  if (digitsAfter === 3 && places !== 3) return null; // "1,234"
  if (digitsAfter === 3 && last !== localeDecimal) return null;
  return last;
}
