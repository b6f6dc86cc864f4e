// A line chart with its legend, its cursor and its figures as a table.

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
      const rows = shown
        .map((one) => [one, one.flat ? one.points[0] : one.points.find((p) => p.x === x)])
        .filter(([, p]) => p);
      box.replaceChildren(
        h("b", {}, `${spec.x.label.split(" (")[0]} ${x}`),
        ...rows.map(([one, p]) =>
          h(
            "span",
            {},
            h("i", { style: { background: one.colour } }),
            `${one.name} `,
            h("b", {}, num(p.mean)),
            known(p.low) ? ` [${num(p.low)}, ${num(p.high)}]` : "",
          ),
        ),
      );
      box.hidden = false;
      if (X(x) < width / 2) {
        box.style.left = `${X(x) + 12}px`;
        box.style.right = "auto";
      } else {
        box.style.right = `${width - X(x) + 12}px`;
        box.style.left = "auto";
      }
    };
    const hide = () => {
      box.hidden = true;
      line.setAttribute("d", "");
    };
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
  const off =
    switchedOff.get(spec.title) || new Set(spec.series.filter((one) => one.off).map((one) => one.name));
  switchedOff.set(spec.title, off);
  const plot = h("div", { class: "plot" });
  const cursor = cursorOf(spec);
  const draw = () => {
    if (plot.clientWidth) drawLines(spec, plot, off, cursor);
  };
  new ResizeObserver(draw).observe(plot);
  const key = (one) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(!off.has(one.name)),
        on: {
          click: (event) => {
            if (!off.delete(one.name)) off.add(one.name);
            event.currentTarget.setAttribute("aria-pressed", String(!off.has(one.name)));
            draw();
          },
        },
      },
      s(
        "svg",
        { width: 22, height: 10, "aria-hidden": "true" },
        s("path", {
          d: "M0 5H22",
          class: "line",
          style: { stroke: one.colour, "stroke-width": 3, "stroke-dasharray": one.dash || "none" },
        }),
      ),
      one.name,
    );
  const title = fresh("figure");
  return h(
    "figure",
    { class: spec.small ? "chart small" : "chart", "aria-labelledby": title },
    h("figcaption", {}, h("h3", { id: title }, spec.title), spec.note ? h("p", {}, spec.note) : null),
    h("p", { class: "unit" }, spec.y.label),
    plot,
    spec.small
      ? null
      : h(
          "div",
          { class: "legend", role: "group", "aria-label": `Lines of ${spec.title}` },
          spec.series.map(key),
        ),
    folded("Figures as a table", () => figuresOf(spec), { class: "figures" }),
  );
};
