// The index: everything in a folder of runs, each with its page.

const KINDS = {
  family: ["Families of seeds", "One run file with several seeds."],
  grid: ["Ablation grids", "Several ways of doing it, held against the first."],
  run: ["Runs", ""],
  evaluation: ["Evaluations", "Models and known algorithms on one suite."],
  page: ["Pages of several runs", ""],
};

// Regret by iteration, small; its numbers are said to whoever cannot see it.
const sparkline = (points) => {
  const found = points.filter(known);
  if (found.length < 2) return "";
  const width = 110,
    height = 26,
    edge = 4,
    top = Math.max(...found),
    low = Math.min(0, ...found);
  const X = (i) => edge + (i * (width - 2 * edge)) / (points.length - 1);
  const Y = (y) => height - edge - ((y - low) / (top - low || 1)) * (height - 2 * edge);
  const places = points.map((y, i) => [X(i), Y(y)]).filter(([, y]) => Number.isFinite(y));
  const [x, y] = places.at(-1);
  return s(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `regret by iteration: ${points.map((one) => num(one)).join(", ")}`,
    },
    s("path", { class: "axis", d: `M${edge} ${Y(0)}H${width - edge}` }),
    s("path", { class: "line", d: pathOf(places), style: { stroke: "var(--accent)", "stroke-width": 2 } }),
    s("circle", { cx: x, cy: y, r: 3, style: { fill: "var(--accent)" } }),
  );
};

const stateCell = (one) =>
  one.state
    ? h(
        "span",
        { class: "state-of" },
        h("span", { class: `dot is-${one.state}` }),
        STATES[one.state] + (one.stage ? `: ${one.stage}` : ""),
      )
    : "not started";

const moneyCell = (one) => dollars(one.spent) + (one.cap ? ` of ${dollars(one.cap)}` : "");
const splitNote = (one) => (one.split === "validation" ? " (validation)" : "");

const INDEX_COLUMNS = {
  run: [
    ["state", stateCell],
    ["regret by iteration", (one) => sparkline(one.points)],
    ["champion", (one) => one.champion || one.note],
    ["its regret", (one) => (one.regret ? interval(one.regret) + splitNote(one) : "")],
    ["drop to base", (one) => (one.drop ? interval(one.drop) : "")],
    ["spent", moneyCell],
    ["last at work", (one) => (one.at ? day(one.at) : "")],
  ],
  evaluation: [
    ["state", stateCell],
    ["what", (one) => one.note],
    ["least regret of the models", (one) => (one.regret ? `${interval(one.regret)}, ${one.champion}` : "")],
    ["spent", moneyCell],
    ["last at work", (one) => (one.at ? day(one.at) : "")],
  ],
  family: [
    ["state", stateCell],
    ["mean regret by iteration", (one) => sparkline(one.points)],
    ["runs", (one) => one.of.join(", ")],
    ["spent", moneyCell],
    ["last at work", (one) => (one.at ? day(one.at) : "")],
  ],
  page: [["written", (one) => (one.at ? day(one.at) : "")]],
};
INDEX_COLUMNS.grid = [
  ["state", stateCell],
  ["cells", (one) => one.note.replace("cells: ", "")],
  ["runs", (one) => plural(one.of.length, "run")],
  ["spent", moneyCell],
  ["last at work", (one) => (one.at ? day(one.at) : "")],
];

const addressed = (path) => path.split("/").map(encodeURIComponent).join("/");

// Rows are tables on a wide screen, and cards on a phone, where each cell names its column.
const entriesOf = (kind, entries) => {
  const columns = INDEX_COLUMNS[kind];
  const title = KINDS[kind][0];
  return h(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": title },
    h(
      "table",
      { class: "cards" },
      h("caption", { class: "hush" }, title),
      h(
        "thead",
        {},
        h("tr", {}, h("th", { scope: "col" }, "name"), columns.map(([name]) => h("th", { scope: "col" }, name))),
      ),
      h(
        "tbody",
        {},
        entries.map((one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, one.page ? h("a", { href: addressed(one.page) }, one.name) : one.name),
            columns.map(([name, cell]) => h("td", { "data-label": name }, cell(one))),
          ),
        ),
      ),
    ),
  );
};

const indexGlance = (story) =>
  h(
    "section",
    { id: "glance", class: "glance", "aria-labelledby": "glance-title" },
    h("h1", { id: "glance-title" }, story.headline.title),
    h("p", { class: "verdict open" }, story.headline.text),
    story.warnings.map((text) => h("p", { class: "warning" }, h("b", {}, "Watch out: "), text, ".")),
  );

const indexSection = (kind) => (story) => {
  const entries = story.entries.filter((one) => one.kind === kind);
  const [title, lead] = KINDS[kind];
  return entries.length ? section(kind, title, lead, entriesOf(kind, entries)) : null;
};

const INDEX = [indexGlance, ...Object.keys(KINDS).map(indexSection)];
