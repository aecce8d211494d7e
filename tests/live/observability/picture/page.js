// page.html?prometheus=http://127.0.0.1:9090&minutes=10&step=5&rate=30s
const wanted = new URLSearchParams(location.search);
const STEP = Number(wanted.get("step") ?? 5);
const END = Math.floor(Date.now() / 1000 / STEP) * STEP;
const START = END - 60 * Number(wanted.get("minutes") ?? 10);
const PALETTE = ["#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a", "#96d98d", "#ff9830"];
const COLOURS = { red: "#c4162a", green: "#37872d", orange: "#e0752d", text: "transparent" };

async function ask(path, parameters) {
  const answer = await fetch(`${wanted.get("prometheus")}/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const { data, error } = await answer.json();
  if (error) throw new Error(`${parameters.query}: ${error}`);
  return data.result;
}

const filled = (query) => query.replaceAll("$__rate_interval", wanted.get("rate") ?? "30s").replaceAll("$backend", ".*");
const named = (legend, labels) => legend.replace(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? "").trim();

function text(value, unit) {
  if (value == null) return "";
  const short = (x) => (Math.abs(x) >= 1000 ? `${+(x / 1000).toPrecision(3)} K` : `${+x.toPrecision(3)}`);
  if (unit !== "s") return short(value) + ({ reqps: " req/s", eps: " evt/s", ops: " op/s" }[unit] ?? "");
  if (value === 0) return "0 s";
  if (value < 0.001) return `${+(value * 1e6).toPrecision(3)} µs`;
  if (value < 1) return `${+(value * 1e3).toPrecision(3)} ms`;
  return value < 120 ? `${+value.toPrecision(3)} s` : `${+(value / 60).toPrecision(3)} min`;
}

function element(parent, kind, name, content = "") {
  const made = parent.appendChild(document.createElement(kind));
  made.className = name;
  made.textContent = content;
  return made;
}

async function stat(panel, box) {
  const { mappings, thresholds, noValue } = panel.fieldConfig.defaults;
  const stats = element(box, "div", "stats");
  for (const target of panel.targets) {
    const result = await ask("query", { query: filled(target.expr) });
    if (result.length === 0) element(stats, "div", "none", noValue);
    for (const { metric, value } of result) {
      const number = Number(value[1]);
      const name = named(target.legendFormat, metric);
      const mode = panel.options.textMode;
      const said = mappings[0]?.options[String(number)]?.text ?? text(number, panel.fieldConfig.defaults.unit);
      const colour = thresholds.steps.filter((step) => step.value === null || number >= step.value).at(-1).color;
      const one = element(stats, "div", "stat");
      one.style.background = COLOURS[colour];
      element(one, "b", "", mode === "name" ? name : said);
      if (mode === "value_and_name" || (mode === "auto" && result.length > 1)) element(one, "div", "", name);
    }
  }
}

async function series(panel) {
  const times = [];
  for (let time = START; time <= END; time += STEP) times.push(time);
  const found = [];
  for (const target of panel.targets) {
    const result = await ask("query_range", { query: filled(target.expr), start: START, end: END, step: STEP });
    for (const { metric, values } of result) {
      const at = new Map(values.map(([time, value]) => [time, Number.isFinite(+value) ? +value : null]));
      found.push({ name: named(target.legendFormat, metric), values: times.map((time) => at.get(time) ?? null) });
    }
  }
  return { times, found };
}

async function timeseries(panel, box) {
  const { times, found } = await series(panel);
  if (found.length === 0) return void element(box, "div", "none", "No data");
  const { custom, unit, max } = panel.fieldConfig.defaults;
  const dashed = (name) => panel.fieldConfig.overrides.some((override) => new RegExp(`^${override.matcher.options}$`).test(name));
  // What is stacked stands on what comes before it, so it is drawn from the top down.
  const base = times.map(() => 0);
  const drawn = found.map((one, index) => {
    const apart = dashed(one.name);
    const stacked = custom.stacking.mode === "normal" && !apart;
    const values = stacked ? one.values.map((value, at) => value === null ? null : (base[at] += value)) : one.values;
    return { ...one, values, apart, colour: PALETTE[index % PALETTE.length] };
  });
  drawn.reverse();
  const bars = custom.drawStyle === "bars";
  const alpha = Math.round((custom.fillOpacity / 100) * 255).toString(16).padStart(2, "0");
  const paths = bars ? uPlot.paths.bars({ size: [0.9, 12] })
    : custom.lineInterpolation === "stepAfter" ? uPlot.paths.stepped({ align: 1 }) : undefined;
  const chart = element(box, "div", "chart");
  const legend = element(box, "div", "legend");
  for (const { name, colour } of [...drawn].reverse()) {
    const label = element(legend, "span", "");
    element(label, "i", "").style.borderColor = colour;
    label.append(name);
  }
  const axis = { stroke: "#9fa0a8", font: "10px DejaVu Sans", grid: { stroke: "#2b2e34", width: 1 }, ticks: { show: false } };
  new uPlot({
    width: chart.clientWidth, height: chart.clientHeight, legend: { show: false }, cursor: { show: false },
    scales: { x: { range: [START, END] }, y: { range: (_, __, top) => [0, max ?? (top > 0 ? top * 1.1 : 1)] } },
    axes: [
      { ...axis, size: 24, values: (_, at) => at.map((time) => new Date(time * 1000).toISOString().slice(11, 16)), space: 60 },
      { ...axis, size: 62, space: 26, values: (_, at) => at.map((value) => text(value, unit)) },
    ],
    series: [{}, ...drawn.map(({ colour, apart }) => ({
      stroke: colour, width: 1.5, points: { show: false }, paths, dash: apart ? [6, 4] : undefined,
      fill: apart ? undefined : colour + alpha,
    }))],
  }, [times, ...drawn.map(({ values }) => values)], chart);
}

async function draw() {
  const dashboard = await (await fetch("dashboard.json")).json();
  const grid = document.getElementById("grid");
  for (const panel of dashboard.panels) {
    const { x, y, w, h } = panel.gridPos;
    const box = element(grid, "div", panel.type === "row" ? "row" : "panel", panel.type === "row" ? panel.title : "");
    box.style.gridArea = `${y + 1} / ${x + 1} / span ${h} / span ${w}`;
    if (panel.type === "row") continue;
    element(box, "div", "title", panel.title);
    await { stat, timeseries }[panel.type](panel, box);
  }
  document.title = "drawn";
}

draw().catch((error) => { document.body.textContent = error.stack; });
