/**
 * Times as people read them, and one ticker for all countdowns. Every "now" is the server's.
 */
import { client } from "./session.js";

const dayFormat = new Intl.DateTimeFormat(undefined, {
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "numeric",
  minute: "2-digit",
});
const clockFormat = new Intl.DateTimeFormat(undefined, {
  hour: "numeric",
  minute: "2-digit",
  second: "2-digit",
});
const stampFormat = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "numeric",
  minute: "2-digit",
  second: "2-digit",
});

export const day = (ms) => dayFormat.format(ms);
export const stamp = (ms) => stampFormat.format(ms);
export const clock = (ms) => clockFormat.format(ms);

const two = (number) => String(number).padStart(2, "0");

/** "3 d 4 h", "4 h 12 min", "12:05". Rounded up, so that it says 0:00 only when it is over. */
export function left(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours >= 1) return `${hours} h ${two(minutes % 60)} min`;
  return `${minutes}:${two(seconds % 60)}`;
}

/** The same for a screen reader, in words and round numbers. */
export function leftInWords(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

const tickers = new Set();
let timer;

function tick() {
  const now = client.serverNow();
  for (const run of tickers) run(now);
}

/** Calls `run` with the server's time now and four times a second. Returns a function to stop. */
export function onTick(run) {
  tickers.add(run);
  timer ??= setInterval(() => document.visibilityState === "visible" && tick(), 250);
  run(client.serverNow());
  return () => tickers.delete(run);
}

document.addEventListener(
  "visibilitychange",
  () => document.visibilityState === "visible" && tick(),
);
