// A list of any length: only the rows in sight are on the page. One row is chosen, arrow keys move it.

const ROW = 46;

const stripOf = (strip) => {
  const step = 100 / strip.length;
  const stops = [...strip].map(
    (digit, i) =>
      `color-mix(in oklab, var(--cell), var(--loss) ${Math.round((Number(digit) * 100) / 9)}%) ${(i * step).toFixed(2)}% ${((i + 1) * step).toFixed(2)}%`,
  );
  return h("span", {
    class: "strip",
    "aria-hidden": "true",
    style: { "background-image": `linear-gradient(to right, ${stops.join(",")})` },
  });
};

const virtualList = (label, choose, enter) => {
  const space = h("div", { class: "space" });
  const box = h("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": label }, space);
  let rows = [],
    chosen = -1;

  const option = (row, i) =>
    h(
      "div",
      {
        class: `option${row.why === "kept" ? " kept" : ""}`,
        role: "option",
        id: `option-${i}`,
        "aria-selected": String(i === chosen),
        "aria-label": `regret ${num(row.regret)}, ${addressOf(row)}${row.why === "kept" ? ", selected" : ""}`,
        "aria-posinset": i + 1,
        "aria-setsize": rows.length,
        style: { top: `${i * ROW}px` },
        on: {
          click: () => {
            pick(i);
          },
        },
      },
      h("span", { class: "regret" }, num(row.regret)),
      stripOf(row.strip),
      h(
        "span",
        { class: "where" },
        `${row.who ? row.who : `${SPLITS[row.split]} · it ${row.iteration}`} · sc ${row.scenario} · tr ${row.trajectory}`,
      ),
      row.why === "kept" ? h("span", { class: "badge" }, "selected") : null,
    );

  const draw = () => {
    space.style.height = `${rows.length * ROW}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = Math.min(rows.length, first + Math.ceil((box.clientHeight || 600) / ROW) + 8);
    const found = [];
    for (let i = first; i < last; i++) found.push(option(rows[i], i));
    if (chosen >= 0 && (chosen < first || chosen >= last) && chosen < rows.length)
      found.push(option(rows[chosen], chosen));
    space.replaceChildren(...found);
    if (chosen >= 0) box.setAttribute("aria-activedescendant", `option-${chosen}`);
    else box.removeAttribute("aria-activedescendant");
  };

  const reveal = (i) => {
    const top = i * ROW,
      bottom = top + ROW;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  };

  const pick = (i, tell = true) => {
    if (!rows.length) return;
    chosen = Math.max(0, Math.min(rows.length - 1, i));
    reveal(chosen);
    draw();
    if (tell) choose(rows[chosen]);
  };

  box.addEventListener("scroll", draw);
  box.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 1);
    const moves = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length,
    };
    if (event.key in moves) {
      event.preventDefault();
      pick((chosen < 0 ? (moves[event.key] > 0 ? -1 : rows.length) : chosen) + moves[event.key]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      enter();
    }
  });
  new ResizeObserver(draw).observe(box);

  return {
    box,
    show: (found, key) => {
      rows = found;
      chosen = rows.findIndex((row) => row.key === key);
      draw();
      if (chosen >= 0) reveal(chosen);
      draw();
    },
    pick,
  };
};
