// Keeps the status page current from the API, and carries out what its buttons say when the reader is sure.
// Text only ever becomes text: nothing here is read as HTML.
"use strict";

const EVERY = 2000;
const KEPT = 300;
const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

document.documentElement.classList.add("live");

function bytes(count) {
  if (count < 1024) return `${count} B`;
  let value = count / 1024;
  let unit = 0;
  while (value >= 1024 && unit + 1 < UNITS.length) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

function percent(share) {
  return share === null ? "–" : `${(share * 100).toFixed(1)} %`;
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(seconds / 3600);
  const days = Math.floor(hours / 24);
  if (days > 0) return `${days} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes % 60} min`;
  if (minutes > 0) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function figure(key, text) {
  const place = document.querySelector(`[data-figure="${key}"]`);
  if (place) place.textContent = text;
}

async function ask(path, method = "GET") {
  const response = await fetch(path, { method, headers: { accept: "application/json" } });
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}

// Hit rate since the page was opened, as a line.
const history = [];

function drawHistory(totals) {
  history.push({ hits: totals.saved_bytes, all: totals.served_bytes });
  if (history.length > KEPT) history.shift();
  const place = document.getElementById("history");
  const grown = history.filter((at) => at.all > 0);
  if (!place || grown.length < 2) return;
  const points = grown.map((at, n) => `${(n / (grown.length - 1)) * 100},${100 - (at.hits / at.all) * 100}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Hit rate in bytes since this page was opened, from 0 to 100 %");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  const words = element("p", "Hit rate in bytes, since this page was opened", { class: "soft" });
  place.replaceChildren(svg, words);
  place.hidden = false;
}

function showStatus(status) {
  const totals = status.totals;
  figure("uptime", duration(status.uptime_seconds));
  for (const key of ["hit_rate", "byte_hit_rate"]) figure(key, percent(totals[key]));
  for (const key of ["saved_bytes", "served_bytes", "fetched_bytes"]) figure(key, bytes(totals[key]));
  for (const key of ["requests", "joins", "past_store", "errors"]) figure(key, String(totals[key]));
  drawHistory(totals);
  const meter = document.getElementById("store");
  const store = status.store;
  if (meter && store) {
    const used = store.content + store.fills + store.reserved;
    meter.max = store.capacity;
    meter.value = used;
    document.getElementById("store-words").textContent =
      `${bytes(used)} of ${bytes(store.capacity)}: content ${bytes(store.content)}, downloads ${bytes(store.fills)}, ` +
      `reserved ${bytes(store.reserved)}; pinned ${bytes(store.pinned)}; ` +
      `evicted since the start ${bytes(store.evicted_bytes)} in ${store.evicted} content${store.evicted === 1 ? "" : "s"}`;
  }
}

function showFills(fills) {
  const list = document.getElementById("fills");
  const known = new Map([...list.children].map((item) => [item.dataset.digest, item]));
  for (const fill of fills) {
    let item = known.get(fill.digest);
    known.delete(fill.digest);
    if (!item) {
      item = element("li", null, { "data-digest": fill.digest });
      const head = element("p", null);
      head.append(element("strong", `${fill.upstream}/${fill.repository}`), " ");
      const kind = element("span", `${fill.kind} `, { class: "soft" });
      kind.append(element("code", fill.digest));
      head.append(kind);
      item.append(head, element("progress", null, { "aria-label": fill.digest }), element("p", null, { class: "soft" }));
      list.append(item);
    }
    const [, bar, words] = item.children;
    if (fill.size !== null) {
      bar.max = Math.max(fill.size, 1);
      bar.value = fill.present;
    }
    const size = fill.size === null ? "unknown size" : bytes(fill.size);
    words.textContent =
      `${bytes(fill.present)} of ${size}, ${duration(fill.since_seconds)}, ${fill.followers} following, ${fill.phase}`;
  }
  for (const gone of known.values()) gone.remove();
  document.getElementById("no-fills").hidden = fills.length > 0;
}

function showWarming(jobs) {
  const items = jobs.slice(0, 10).map((job) => {
    const item = element("li", null);
    const head = element("p", null);
    head.append(element("strong", job.list ?? "asked for"), " ", element("span", `job ${job.id}`, { class: "soft" }));
    const bar = element("progress", null, { "aria-label": `job ${job.id}`, max: Math.max(job.bytes, 1), value: job.present });
    const words =
      `${job.state}: ${job.images} ${job.images === 1 ? "image" : "images"}, ` +
      `${bytes(job.present)} of ${bytes(job.bytes)} here, ${bytes(job.fetched)} fetched`;
    item.append(head, bar, element("p", words, { class: "soft" }));
    return item;
  });
  document.getElementById("warming").replaceChildren(...items);
  document.getElementById("no-warming").hidden = items.length > 0;
}

function showUpstreams(upstreams) {
  for (const row of document.getElementById("upstreams").children) {
    const upstream = upstreams.find((it) => it.name === row.dataset.upstream);
    if (!upstream) continue;
    const [, state, , rate, fetched, downloads, waiting, left] = row.children;
    const words = upstream.state === "offline" ? "not asked (offline)" : upstream.state;
    state.replaceChildren(element("span", words, { class: `word word-${upstream.state}` }));
    rate.textContent = percent(upstream.totals.hit_rate);
    fetched.textContent = bytes(upstream.totals.fetched_bytes);
    downloads.textContent = String(upstream.downloads);
    waiting.textContent = String(upstream.downloads_waiting);
    const { ratelimit_remaining: remaining, ratelimit_limit: limit } = upstream;
    left.textContent = remaining === null ? "–" : limit === null ? String(remaining) : `${remaining} of ${limit}`;
  }
}

function tell(text, isBad) {
  const told = document.getElementById("told");
  told.textContent = text;
  told.classList.toggle("bad", isBad);
}

let silent = false;

async function refresh() {
  try {
    const [status, upstreams, fills, warming] = await Promise.all(
      ["status", "upstreams", "fills", "warm"].map((what) => ask(`/api/v1/${what}`)),
    );
    showStatus(status);
    showUpstreams(upstreams.items);
    showFills(fills.items);
    showWarming(warming.jobs);
    if (silent) tell("", false);
    silent = false;
  } catch (error) {
    silent = true;
    tell(`The mirror does not answer: ${error.message}`, true);
  }
  setTimeout(refresh, EVERY);
}

const sure = document.getElementById("sure");
let wish = null;

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button) return;
  wish = button;
  document.getElementById("sure-what").textContent = `${button.dataset.verb} ${button.dataset.what}?`;
  document.getElementById("sure-yes").textContent = button.dataset.verb;
  sure.returnValue = "no";
  sure.showModal();
});

sure.addEventListener("close", async () => {
  if (sure.returnValue !== "yes" || !wish) return;
  const { post, verb, what } = wish.dataset;
  try {
    const told = await ask(post, "POST");
    tell(`${verb} ${what}: ${JSON.stringify(told)}`, false);
    if (verb === "Purge") wish.closest("tr")?.remove();
  } catch (error) {
    tell(`${verb} ${what}: ${error.message}`, true);
  }
});

setTimeout(refresh, EVERY / 4);
