// Scales, paths and words of charts.

const niceStep = (span, steps) => {
  const rough = span / steps || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 2.5, 5, 10].map((m) => m * unit).find((step) => step >= rough);
};

const ticksOf = (low, high, steps) => {
  const step = niceStep(high - low, steps);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
};

const extent = (series, x) => {
  const all = series.flatMap((one) => one.points);
  const xs = all.map((p) => p.x);
  const ys = all.flatMap((p) => [p.mean, p.low, p.high]).filter(known);
  const low = Math.min(0, ...ys),
    high = Math.max(...ys, low + 1e-9);
  return { x0: Math.min(...xs), x1: Math.max(...xs), y0: low, y1: x.top || high + (high - low) * 0.04 };
};

const pathOf = (points) =>
  points.map((p, i) => `${i ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("");

const bandOf = (points, X, Y) => {
  const sure = points.filter((p) => known(p.low) && known(p.high));
  if (!sure.length) return "";
  const up = sure.map((p) => [X(p.x), Y(p.high)]);
  const down = sure.map((p) => [X(p.x), Y(p.low)]).reverse();
  return `${pathOf(up)}L${pathOf(down).slice(1)}Z`;
};

// The names of lines at their right ends: as near to them as there is room, none upon another.
const labelsOf = (series, X, Y, top, bottom) => {
  const gap = 15;
  const found = series
    .map((one) => ({ one, end: Y(one.points.at(-1).mean) }))
    .sort((a, b) => a.end - b.end);
  const groups = [];
  for (const label of found) {
    groups.push({ labels: [label], y: label.end });
    while (groups.length > 1) {
      const [above, below] = groups.slice(-2);
      if (above.y + gap * above.labels.length <= below.y) break;
      const labels = [...above.labels, ...below.labels];
      const y = labels.reduce((sum, one, i) => sum + one.end - i * gap, 0) / labels.length;
      groups.splice(-2, 2, { labels, y });
    }
  }
  for (const group of groups)
    group.labels.forEach((label, i) => {
      label.y = group.y + i * gap;
    });
  found.forEach((label, i) => {
    label.y = Math.max(label.y, i ? found[i - 1].y + gap : top);
  });
  for (let i = found.length - 1, limit = bottom; i >= 0; i--, limit -= gap)
    found[i].y = Math.min(found[i].y, limit);
  return found;
};

const said = (spec) =>
  spec.series
    .filter((one) => one.points.length)
    .map((one) => {
      const first = one.points[0],
        last = one.points.at(-1);
      const ends = first === last ? "" : `${num(first.mean)} at ${first.x}, `;
      return `${one.name}: ${ends}${num(last.mean)} at ${last.x}`;
    })
    .join("; ");

const figuresOf = (spec) => {
  const xs = [...new Set(spec.series.flatMap((one) => one.points.map((p) => p.x)))].sort((a, b) => a - b);
  const cell = (one, x) => {
    const p = one.points.find((q) => q.x === x);
    return p ? (known(p.low) ? interval(p) : num(p.mean)) : "";
  };
  return table(
    `${spec.title}: mean and 95 % interval`,
    [spec.x.label, ...spec.series.map((one) => one.name)],
    xs.map((x) => ({ cells: [x, ...spec.series.map((one) => cell(one, x))] })),
  );
};
