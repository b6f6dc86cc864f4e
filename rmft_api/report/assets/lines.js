// Line charts: a mean and its interval as a band, drawn as wide as there is room.

const drawLines = (spec, plot, hidden, cursor) => {
  const width = Math.max(240, plot.clientWidth);
  const shown = spec.series.filter((one) => one.points.length && !hidden.has(one.name));
  const roomy = width >= 560 && !spec.small;
  const height = spec.small ? 170 : Math.min(400, Math.max(250, width * 0.5));
  const longest = Math.max(...shown.map((one) => one.name.length), 0);
  const edge = { left: 42, right: roomy ? 40 + 7.6 * longest : 12, top: 12, bottom: 40 };
  const box = extent(shown.length ? shown : spec.series, spec.y);
  const X = (x) =>
    edge.left +
    (box.x1 === box.x0 ? 0.5 : (x - box.x0) / (box.x1 - box.x0)) * (width - edge.left - edge.right);
  const Y = (y) =>
    height - edge.bottom - ((y - box.y0) / (box.y1 - box.y0)) * (height - edge.top - edge.bottom);
  const ids = [fresh("title"), fresh("desc")];
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      tabindex: 0,
      "aria-labelledby": ids.join(" "),
      class: "lines",
    },
    s("title", { id: ids[0] }, spec.title),
    s("desc", { id: ids[1] }, `${spec.y.label} by ${spec.x.label}. ${said(spec)}.`),
  );
  for (const y of ticksOf(box.y0, box.y1, spec.small ? 3 : 5)) {
    svg.append(
      s("path", {
        class: y === 0 ? "axis" : "grid",
        d: `M${edge.left} ${Y(y).toFixed(1)}H${width - edge.right}`,
      }),
      s("text", { class: "tick", x: edge.left - 7, y: Y(y) + 4, "text-anchor": "end" }, short(y)),
    );
  }
  const whole = ticksOf(box.x0, box.x1, Math.min(spec.small ? 5 : 10, width / 60)).filter((x) =>
    Number.isInteger(x),
  );
  for (const x of box.x0 === box.x1
    ? [box.x0]
    : [...new Set([box.x0, ...whole.filter((one) => one - box.x0 > (box.x1 - box.x0) / 20)])]) {
    svg.append(
      s("text", { class: "tick", x: X(x), y: height - edge.bottom + 17, "text-anchor": "middle" }, x),
    );
  }
  svg.append(
    s(
      "text",
      { class: "name", x: (edge.left + width - edge.right) / 2, y: height - 5, "text-anchor": "middle" },
      spec.x.label,
    ),
  );
  for (const one of shown)
    if (one.band)
      svg.append(s("path", { class: "band", d: bandOf(one.points, X, Y), style: { fill: one.colour } }));
  for (const one of shown) {
    const stroke = { stroke: one.colour, "stroke-width": one.width || 2 };
    if (one.dash) stroke["stroke-dasharray"] = one.dash;
    const points = one.flat
      ? [
          [edge.left, Y(one.points[0].mean)],
          [width - edge.right, Y(one.points[0].mean)],
        ]
      : one.points.map((p) => [X(p.x) + (one.aside || 0), Y(p.mean)]);
    svg.append(s("path", { class: "line", d: pathOf(points), style: stroke }));
    if (one.dots)
      for (const p of one.points) {
        const x = X(p.x) + (one.aside || 0);
        if (known(p.low))
          svg.append(
            s("path", {
              class: "line",
              d: `M${x} ${Y(p.low)}V${Y(p.high)}`,
              style: { stroke: one.colour, "stroke-width": 1.5 },
            }),
          );
        svg.append(
          s("circle", {
            cx: x,
            cy: Y(p.mean),
            r: p.champion ? 6 : 3.5,
            class: p.champion ? "champion" : "",
            style: { fill: one.colour },
          }),
        );
      }
  }
  if (roomy)
    for (const { one, y, end } of labelsOf(shown, X, Y, edge.top + 4, height - edge.bottom)) {
      const from = width - edge.right;
      svg.append(
        s("path", {
          class: "leader",
          d: `M${from + 9} ${end.toFixed(1)}L${from + 24} ${y.toFixed(1)}`,
          style: { stroke: one.colour },
        }),
        s(
          "text",
          { class: "label", x: from + 28, y: y + 4, style: { fill: one.ink || one.colour } },
          one.name,
        ),
      );
    }
  cursor.attach(svg, { X, Y, shown, edge, width, height });
  plot.replaceChildren(svg, cursor.box);
};
