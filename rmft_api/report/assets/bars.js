// Intervals in rows: who has how much regret, and who is better than whom.

const drawRows = (spec, plot) => {
  const width = Math.max(260, plot.clientWidth);
  const narrow = width < 560;
  const rowHeight = narrow ? 44 : 30;
  const longest = Math.max(0, ...spec.rows.map((row) => row.name.length));
  const names = Math.min(0.5 * width, Math.max(170, 24 + 7.4 * longest));
  // A name that has no room loses its middle: pairs differ at either end.
  const letters = Math.floor(((narrow ? width - 140 : names) - 24) / 7.4);
  const half = Math.floor((letters - 1) / 2);
  const cut = (name) =>
    name.length > letters ? `${name.slice(0, letters - 1 - half)}…${name.slice(-half)}` : name;
  const edge = { left: narrow ? 8 : names, right: narrow ? 8 : 150, top: 8, bottom: 40 };
  const height = edge.top + edge.bottom + rowHeight * spec.rows.length;
  const ends = spec.rows.flatMap((row) => [row.mean, row.low, row.high]).filter(known);
  const low = Math.min(0, ...ends),
    high = Math.max(0, ...ends),
    room = (high - low || 1) * 0.03;
  const X = (x) =>
    edge.left + ((x - low + room) / (high - low + 2 * room || 1)) * (width - edge.left - edge.right);
  const ids = [fresh("title"), fresh("desc")];
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-labelledby": ids.join(" "),
      class: "rows",
    },
    s("title", { id: ids[0] }, spec.title),
    s("desc", { id: ids[1] }, spec.rows.map((row) => `${row.name}: ${interval(row)}`).join("; ")),
  );
  for (const x of ticksOf(low, high, Math.min(8, width / 80))) {
    // Where names stand above their bars, lines stop short of them.
    const bands = narrow
      ? spec.rows.map((_, i) => `M${X(x)} ${edge.top + i * rowHeight + 21}v20`).join("")
      : `M${X(x)} ${edge.top}V${height - edge.bottom}`;
    svg.append(
      s("path", { class: x === 0 ? "axis zero" : "grid", d: bands }),
      s("text", { class: "tick", x: X(x), y: height - edge.bottom + 17, "text-anchor": "middle" }, short(x)),
    );
  }
  svg.append(
    s(
      "text",
      { class: "name", x: (edge.left + width - edge.right) / 2, y: height - 5, "text-anchor": "middle" },
      spec.unit,
    ),
  );
  spec.rows.forEach((row, i) => {
    const top = edge.top + i * rowHeight,
      y = top + (narrow ? 31 : rowHeight / 2);
    const reach = [known(row.low) ? row.low : row.mean, known(row.high) ? row.high : row.mean].map(X);
    const figure = known(row.low) ? interval(row) : num(row.mean);
    svg.append(
      s(
        "text",
        {
          class: `label${row.strong ? " strong" : ""}`,
          x: narrow ? 8 : edge.left - 12,
          y: narrow ? top + 16 : y + 4,
          "text-anchor": narrow ? "start" : "end",
        },
        cut(row.name),
        row.name.length > letters ? s("title", {}, row.name) : null,
      ),
      s(
        "text",
        {
          class: `value${row.strong ? " strong" : ""}`,
          x: width - 8,
          y: narrow ? top + 16 : y + 4,
          "text-anchor": "end",
        },
        figure,
      ),
      s("path", { class: "reach", d: `M${reach[0]} ${y}H${reach[1]}`, style: { stroke: row.colour } }),
      s(
        row.square ? "rect" : "circle",
        row.square
          ? { x: X(row.mean) - 4.5, y: y - 4.5, width: 9, height: 9, style: { fill: row.colour } }
          : { cx: X(row.mean), cy: y, r: row.strong ? 6.5 : 5, style: { fill: row.colour } },
      ),
    );
  });
  plot.replaceChildren(svg);
};

const rowsChart = (spec) => {
  const plot = h("div", { class: "plot" });
  new ResizeObserver(() => {
    if (plot.clientWidth) drawRows(spec, plot);
  }).observe(plot);
  const title = fresh("figure");
  return h(
    "figure",
    { class: "chart", "aria-labelledby": title },
    h("figcaption", {}, h("h3", { id: title }, spec.title), spec.note ? h("p", {}, spec.note) : null),
    plot,
    spec.table ? folded("Figures as a table", spec.table, { class: "figures" }) : null,
  );
};
