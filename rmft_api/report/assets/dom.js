// Building the page. Text becomes text nodes, never markup: nothing here parses a string.

const SVG = "http://www.w3.org/2000/svg";

const dress = (node, props) => {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (name === "style")
      for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
};

const fill = (node, children) => {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false)
      node.append(child instanceof Node ? child : String(child));
  }
  return node;
};

const h = (tag, props = {}, ...children) => {
  const node = document.createElement(tag);
  dress(node, props);
  return fill(node, children);
};

const s = (tag, props = {}, ...children) => {
  const node = document.createElementNS(SVG, tag);
  dress(node, props);
  return fill(node, children);
};

const at = (id) => document.getElementById(id);

let names = 0;
const fresh = (stem) => `${stem}-${++names}`;

// A table of plain cells; the first column heads its rows.
const table = (caption, head, rows) =>
  h(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head.map((cell) => h("th", { scope: "col" }, cell)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            { class: row.mark },
            row.cells.map((cell, i) => (i ? h("td", {}, cell) : h("th", { scope: "row" }, cell))),
          ),
        ),
      ),
    ),
  );

// Something long that is only built when it is opened.
const folded = (summary, build, props = {}) => {
  const box = h("details", props, h("summary", {}, summary));
  box.addEventListener("toggle", () => {
    if (box.open && box.childElementCount === 1) box.append(build());
  });
  return box;
};
