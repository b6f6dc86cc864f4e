// Line charts: a mean and its interval as a band, drawn as wide as there is room.

const niceStep = (span, steps) => {
  const rough = span / steps || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((m) => m * unit).find((step) => step >= rough);
};

const ticksOf = (low, high, steps) => {
  const step = niceStep(high - low, steps);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
};

const extent = (series, x) => {
  const all = series.flatMap((one) => one.points);
  const xs = all.map((p) => p.x);
  const ys = all.flatMap((p) => [p.mean, p.low, p.high]).filter(known);
  const low = Math.min(0, ...ys), high = Math.max(...ys, low + 1e-9);
  return { x0: Math.min(...xs), x1: Math.max(...xs), y0: low, y1: x.top || high + (high - low) * 0.04 };
};

const pathOf = (points) => points.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");

const bandOf = (points, X, Y) => {
  const sure = points.filter((p) => known(p.low) && known(p.high));
  if (!sure.length) return "";
  const up = sure.map((p) => [X(p.x), Y(p.high)]);
  const down = sure.map((p) => [X(p.x), Y(p.low)]).reverse();
  return `${pathOf(up)}L${pathOf(down).slice(1)}Z`;
};

// The names of lines at their right ends, moved apart where they would touch.
const labelsOf = (series, X, Y, top, bottom) => {
  const gap = 14;
  const found = series.map((one) => ({ one, y: Y(one.points.at(-1).mean) })).sort((a, b) => a.y - b.y);
  found.forEach((label, i) => { label.y = Math.max(label.y, i ? found[i - 1].y + gap : top); });
  for (let i = found.length - 1, limit = bottom; i >= 0; i--, limit -= gap) found[i].y = Math.min(found[i].y, limit);
  return found;
};

const said = (spec) => spec.series.filter((one) => one.points.length).map((one) => {
  const first = one.points[0], last = one.points.at(-1);
  const ends = first === last ? "" : `${num(first.mean)} at ${first.x}, `;
  return `${one.name}: ${ends}${num(last.mean)} at ${last.x}`;
}).join("; ");

const figuresOf = (spec) => {
  const xs = [...new Set(spec.series.flatMap((one) => one.points.map((p) => p.x)))].sort((a, b) => a - b);
  const cell = (one, x) => { const p = one.points.find((q) => q.x === x); return p ? (known(p.low) ? interval(p) : num(p.mean)) : ""; };
  return table(`${spec.title}: mean and 95 % interval`, [spec.x.label, ...spec.series.map((one) => one.name)],
    xs.map((x) => ({ cells: [x, ...spec.series.map((one) => cell(one, x))] })));
};

const drawLines = (spec, plot, hidden, cursor) => {
  const width = Math.max(240, plot.clientWidth);
  const shown = spec.series.filter((one) => one.points.length && !hidden.has(one.name));
  const roomy = width >= 560 && !spec.small;
  const height = spec.small ? 170 : Math.min(400, Math.max(250, width * 0.5));
  const edge = { left: 42, right: roomy ? 128 : 12, top: 12, bottom: 40 };
  const box = extent(shown.length ? shown : spec.series, spec.y);
  const X = (x) => edge.left + (box.x1 === box.x0 ? 0.5 : (x - box.x0) / (box.x1 - box.x0)) * (width - edge.left - edge.right);
  const Y = (y) => height - edge.bottom - (y - box.y0) / (box.y1 - box.y0) * (height - edge.top - edge.bottom);
  const ids = [fresh("title"), fresh("desc")];
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-labelledby": ids.join(" "), class: "lines" },
    s("title", { id: ids[0] }, spec.title), s("desc", { id: ids[1] }, `${spec.y.label} by ${spec.x.label}. ${said(spec)}.`));
  for (const y of ticksOf(box.y0, box.y1, spec.small ? 3 : 5)) {
    svg.append(s("path", { class: y === 0 ? "axis" : "grid", d: `M${edge.left} ${Y(y).toFixed(1)}H${width - edge.right}` }),
      s("text", { class: "tick", x: edge.left - 7, y: Y(y) + 4, "text-anchor": "end" }, short(y)));
  }
  const whole = ticksOf(box.x0, box.x1, Math.min(spec.small ? 5 : 10, width / 60)).filter((x) => Number.isInteger(x));
  for (const x of box.x0 === box.x1 ? [box.x0] : [...new Set([box.x0, ...whole.filter((one) => one - box.x0 > (box.x1 - box.x0) / 20)])]) {
    svg.append(s("text", { class: "tick", x: X(x), y: height - edge.bottom + 17, "text-anchor": "middle" }, x));
  }
  svg.append(s("text", { class: "name", x: (edge.left + width - edge.right) / 2, y: height - 5, "text-anchor": "middle" }, spec.x.label));
  for (const one of shown) if (one.band) svg.append(s("path", { class: "band", d: bandOf(one.points, X, Y), style: { fill: one.colour } }));
  for (const one of shown) {
    const stroke = { stroke: one.colour, "stroke-width": one.width || 2 };
    if (one.dash) stroke["stroke-dasharray"] = one.dash;
    const points = one.flat ? [[edge.left, Y(one.points[0].mean)], [width - edge.right, Y(one.points[0].mean)]] : one.points.map((p) => [X(p.x), Y(p.mean)]);
    svg.append(s("path", { class: "line", d: pathOf(points), style: stroke }));
    if (one.dots) for (const p of one.points) {
      if (known(p.low)) svg.append(s("path", { class: "line", d: `M${X(p.x)} ${Y(p.low)}V${Y(p.high)}`, style: { stroke: one.colour, "stroke-width": 1.5 } }));
      svg.append(s("circle", { cx: X(p.x), cy: Y(p.mean), r: p.champion ? 6 : 3.5, class: p.champion ? "champion" : "", style: { fill: one.colour } }));
    }
  }
  if (roomy) for (const { one, y } of labelsOf(shown, X, Y, edge.top + 4, height - edge.bottom)) {
    svg.append(s("text", { class: "label", x: width - edge.right + 9, y: y + 4, style: { fill: one.ink || one.colour } }, one.name));
  }
  cursor.attach(svg, { X, Y, shown, edge, width, height });
  plot.replaceChildren(svg, cursor.box);
};

// A line that follows the pointer or the arrow keys and tells the figures under it.
const cursorOf = (spec) => {
  const box = h("div", { class: "readout", "aria-live": "polite", hidden: true });
  let place = null;
  const attach = (svg, { X, shown, edge, width, height }) => {
    const xs = [...new Set(shown.flatMap((one) => one.points.map((p) => p.x)))].sort((a, b) => a - b);
    const line = s("path", { class: "cursor" });
    svg.append(line);
    const show = (i) => {
      if (!xs.length) return;
      place = Math.max(0, Math.min(xs.length - 1, i));
      const x = xs[place];
      line.setAttribute("d", `M${X(x)} ${edge.top}V${height - edge.bottom}`);
      const rows = shown.map((one) => [one, one.flat ? one.points[0] : one.points.find((p) => p.x === x)]).filter(([, p]) => p);
      box.replaceChildren(h("b", {}, `${spec.x.label.split(" (")[0]} ${x}`),
        ...rows.map(([one, p]) => h("span", {}, h("i", { style: { background: one.colour } }), `${one.name} `, h("b", {}, num(p.mean)), known(p.low) ? ` [${num(p.low)}, ${num(p.high)}]` : "")));
      box.hidden = false;
      if (X(x) < width / 2) { box.style.left = `${X(x) + 12}px`; box.style.right = "auto"; }
      else { box.style.right = `${width - X(x) + 12}px`; box.style.left = "auto"; }
    };
    const hide = () => { box.hidden = true; line.setAttribute("d", ""); };
    svg.addEventListener("pointermove", (event) => {
      const x = event.clientX - svg.getBoundingClientRect().left;
      show(xs.reduce((best, one, i) => (Math.abs(X(one) - x) < Math.abs(X(xs[best]) - x) ? i : best), 0));
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      if (event.key === "Escape") hide();
      if (move === undefined) return;
      event.preventDefault();
      show((place ?? (move > 0 ? -1 : xs.length)) + move);
    });
  };
  return { attach, box };
};

// Which lines were switched off, by chart and name: a page that is drawn anew remembers.
const switchedOff = new Map();

const chart = (spec) => {
  const off = switchedOff.get(spec.title) || new Set(spec.series.filter((one) => one.off).map((one) => one.name));
  switchedOff.set(spec.title, off);
  const plot = h("div", { class: "plot" });
  const cursor = cursorOf(spec);
  const draw = () => { if (plot.clientWidth) drawLines(spec, plot, off, cursor); };
  new ResizeObserver(draw).observe(plot);
  const key = (one) => h("button", {
    type: "button", "aria-pressed": String(!off.has(one.name)),
    on: { click: (event) => {
      if (!off.delete(one.name)) off.add(one.name);
      event.currentTarget.setAttribute("aria-pressed", String(!off.has(one.name)));
      draw();
    } },
  }, s("svg", { width: 22, height: 10, "aria-hidden": "true" }, s("path", { d: "M0 5H22", class: "line", style: { stroke: one.colour, "stroke-width": 3, "stroke-dasharray": one.dash || "none" } })), one.name);
  return h("figure", { class: spec.small ? "chart small" : "chart" },
    h("figcaption", {}, h("h3", {}, spec.title), spec.note ? h("p", {}, spec.note) : null),
    h("p", { class: "unit" }, spec.y.label), plot,
    spec.small ? null : h("div", { class: "legend", role: "group", "aria-label": `Lines of ${spec.title}` }, spec.series.map(key)),
    folded("Figures as a table", () => figuresOf(spec), { class: "figures" }));
};
