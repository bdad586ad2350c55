/**
 * The price over time as a step line. Chart.js is loaded when the first chart is needed; without
 * it the history below the chart says the same.
 */
import { h, setText, show } from "../core/dom.js";
import { money } from "../core/money.js";
import { stamp } from "../core/time.js";

let loading = null;

function loadChart() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: "/static/vendor/chart.js" });
    script.addEventListener("load", () => resolve(globalThis.Chart));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("chart.js"));
    });
    document.head.append(script);
  });
  return loading;
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** As exact as the stretch of time needs. */
function timeFormat(spanMs) {
  if (spanMs > 2 * DAY)
    return new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  if (spanMs > 10 * MINUTE)
    return new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
  return new Intl.DateTimeFormat(undefined, {
    hour: "numeric",
    minute: "2-digit",
    second: "2-digit",
  });
}

function optionsFor(currency, points) {
  const [min, max] = [points[0].x, points[points.length - 1].x];
  const [low, high] = [
    Math.min(...points.map(({ y }) => y)),
    Math.max(...points.map(({ y }) => y)),
  ];
  const format = timeFormat(max - min);
  const grid = { color: color("--line"), borderColor: color("--line") };
  const ticks = { color: color("--quiet"), font: { family: "system-ui, sans-serif", size: 12 } };
  return {
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    parsing: false,
    normalized: true,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: {
        type: "linear",
        min,
        max,
        grid: { ...grid, drawOnChartArea: false },
        afterBuildTicks: (scale) => {
          const isNarrow = scale.chart.width < 420; // Three times of day would overlap.
          const shown = isNarrow ? [min, max] : [min, (min + max) / 2, max];
          scale.ticks = shown.map((value) => ({ value }));
        },
        ticks: {
          ...ticks,
          align: "inner",
          maxRotation: 0,
          autoSkip: false,
          callback: (ms) => format.format(ms),
        },
      },
      y: {
        grid,
        suggestedMin: Math.floor(low * 0.9),
        suggestedMax: Math.ceil(high * 1.1),
        ticks: {
          ...ticks,
          maxTicksLimit: 5,
          callback: (value) => money(Math.max(0, Math.round(value)), currency),
        },
      },
    },
    plugins: {
      legend: { display: false },
      tooltip: {
        displayColors: false,
        callbacks: {
          title: (items) => stamp(items[0].parsed.x),
          label: (item) => money(item.parsed.y, currency),
        },
      },
    },
  };
}

const dataFor = (points) => ({
  datasets: [
    {
      data: points,
      stepped: true,
      borderColor: color("--accent"),
      borderWidth: 2,
      pointRadius: points.length > 60 ? 0 : 2.5,
      pointBackgroundColor: color("--accent"),
      fill: true,
      backgroundColor: color("--accent-wash"),
    },
  ],
});

function summary(rows, currency) {
  if (rows.length === 0) return "No bids yet.";
  const [first, last] = [rows[0], rows[rows.length - 1]];
  if (rows.length === 1) return `One bid, at ${money(first.price, currency)}.`;
  return `The price went from ${money(first.price, currency)} to ${money(last.price, currency)} in ${rows.length} steps.`;
}

/** `update(rows, nowMs)`: rows oldest first, each with t_ms and price; nowMs is where it ends. */
export function priceChart(currency) {
  const canvas = h("canvas", { role: "img", "aria-label": "Price over time" });
  const text = h("p", { class: "quiet" });
  const box = h("div", { class: "chart-box" }, canvas);
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "chart-title" },
    h("h2", { id: "chart-title" }, "Price over time"),
    box,
    text,
  );
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  let chart = null;
  let last = null;
  let isStopped = false;

  const draw = async () => {
    const points = last.rows.map(({ t_ms, price }) => ({ x: t_ms, y: price }));
    if (points.length === 0) return;
    points.push({
      x: Math.max(last.nowMs, points[points.length - 1].x + 1),
      y: points[points.length - 1].y,
    });
    let Chart;
    try {
      Chart = await loadChart();
    } catch {
      show(box, false);
      return;
    }
    if (isStopped) return;
    if (chart) {
      Object.assign(chart, { data: dataFor(points), options: optionsFor(currency, points) });
      chart.update("none");
    } else {
      chart = new Chart(canvas, {
        type: "line",
        data: dataFor(points),
        options: optionsFor(currency, points),
      });
    }
  };
  const redraw = () => last && draw();
  scheme.addEventListener("change", redraw);

  node.update = (rows, nowMs) => {
    const priced = rows.filter(({ price }) => price !== null && price !== undefined);
    const isSame =
      last &&
      last.rows.length === priced.length &&
      last.rows[last.rows.length - 1]?.seq === priced[priced.length - 1]?.seq;
    last = { rows: priced, nowMs };
    show(box, priced.length > 0);
    setText(text, summary(priced, currency));
    canvas.setAttribute(
      "aria-label",
      `Price over time. ${summary(priced, currency)} The bids are listed below.`,
    );
    if (!isSame) draw();
  };
  node.stop = () => {
    isStopped = true;
    scheme.removeEventListener("change", redraw);
    chart?.destroy();
  };
  return node;
}
