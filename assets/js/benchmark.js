// Benchmark: what a curve says under the pointer, dots that are dragged along the ROC curve, and dots that
// follow the operating point in every plot. The server answers each move; one is under way at a time.
(() => {
  const BRIDGE = "benchmark-bridge";
  let drag = null;
  let asked = 0;
  let waiting = null;
  let nonce = Date.now();

  const frameOf = (plot) => {
    const [left, right, top, bottom, x0, x1, y0, y1] = JSON.parse(plot.dataset.frame);
    const cut = (value) => Math.min(1, Math.max(0, value));
    return {
      x: (value) => left + cut((value - x0) / (x1 - x0)) * (right - left),
      y: (value) => bottom - cut((value - y0) / (y1 - y0)) * (bottom - top),
      inside: (x, y) => x >= left - 8 && x <= right + 8 && y >= top - 8 && y <= bottom + 8,
    };
  };

  const curvesOf = (plot) => {
    plot.curves ??= JSON.parse(plot.dataset.curves);
    return plot.curves;
  };

  const placeOf = (plot, event) => {
    const svg = plot.querySelector("svg");
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };

  const nearest = (plot, [x, y], only) => {
    const frame = frameOf(plot);
    let best = null;
    for (const curve of curvesOf(plot)) {
      if (only !== undefined && curve.place !== only) continue;
      curve.threshold.forEach((_, index) => {
        const at = [frame.x(1 - curve.specificity[index]), frame.y(curve.sensitivity[index])];
        const far = (at[0] - x) ** 2 + (at[1] - y) ** 2;
        if (!best || far < best.far) best = { far, curve, index, at };
      });
    }
    return best;
  };

  const describe = ({ curve, index }) => {
    const sensitivity = curve.sensitivity[index];
    return `${curve.name}: threshold ${curve.threshold[index].toFixed(3)}, sensitivity ${sensitivity.toFixed(3)}, ` +
      `specificity ${curve.specificity[index].toFixed(3)}, ${Math.round(1000 * (1 - sensitivity))} of 1,000 malignant missed`;
  };

  const tip = (plot, found) => {
    let box = plot.querySelector(".df-tip");
    if (!found) { box?.remove(); return; }
    if (!box) {
      box = document.createElement("div");
      box.className = "df-tip";
      plot.append(box);
    }
    const svg = plot.querySelector("svg");
    const shown = svg.getBoundingClientRect();
    const scale = shown.width / svg.viewBox.baseVal.width;
    const left = shown.left - plot.getBoundingClientRect().left + found.at[0] * scale;
    box.textContent = describe(found);
    box.style.left = `${Math.min(left + 14, plot.clientWidth - 190)}px`;
    box.style.top = `${found.at[1] * scale + 14}px`;
  };

  const put = (dot, x, y) => {
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
  };

  const follow = () => {
    const source = document.querySelector("#benchmark-readout [data-points]");
    if (!source) return;
    const points = JSON.parse(source.dataset.points);
    for (const plot of document.querySelectorAll("#benchmark-curves [data-plot]")) {
      const frame = frameOf(plot);
      for (const dot of plot.querySelectorAll("[data-dot]")) {
        const at = points[dot.dataset.dot]?.[plot.dataset.plot];
        if (drag?.dot === dot || !at) continue;
        put(dot, frame.x(at[0]), frame.y(at[1]));
      }
    }
  };

  const send = (threshold) => {
    if (performance.now() - asked < 400) { waiting = threshold; return; }
    const field = document.querySelector(`#${BRIDGE} textarea, #${BRIDGE} input`);
    if (!field) return;
    asked = performance.now();
    waiting = null;
    nonce += 1;
    field.value = JSON.stringify({ action: "point", value: String(threshold), on: false, choice: "", nonce });
    field.dispatchEvent(new Event("input", { bubbles: true }));
    setTimeout(flush, 410);
  };

  const flush = () => {
    if (waiting !== null && performance.now() - asked >= 400) send(waiting);
  };

  const answered = () => {
    asked = 0;
    follow();
    flush();
  };

  document.addEventListener("pointermove", (event) => {
    if (drag) {
      const found = nearest(drag.plot, placeOf(drag.plot, event), drag.place);
      put(drag.dot, ...found.at);
      tip(drag.plot, found);
      send(found.curve.threshold[found.index]);
      return;
    }
    const plot = event.target.closest?.('[data-plot="roc"]');
    for (const other of document.querySelectorAll('[data-plot="roc"]')) if (other !== plot) tip(other, null);
    if (!plot) return;
    const at = placeOf(plot, event);
    tip(plot, frameOf(plot).inside(...at) ? nearest(plot, at) : null);
  });

  document.addEventListener("pointerdown", (event) => {
    const dot = event.target.closest?.('[data-plot="roc"] [data-dot]');
    if (!dot) return;
    const plot = dot.closest("[data-plot]");
    drag = { dot, plot, place: Number(dot.dataset.dot) };
    plot.classList.add("df-dragging");
    event.preventDefault();
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    document.addEventListener(kind, () => {
      if (!drag) return;
      drag.plot.classList.remove("df-dragging");
      tip(drag.plot, null);
      drag = null;
      flush();
    });
  }

  let readout = null;
  let curves = null;
  new MutationObserver(() => {
    const now = document.querySelector("#benchmark-readout [data-points]");
    const drawn = document.querySelector("#benchmark-curves .df-plots");
    if (now !== readout) { readout = now; answered(); }
    if (drawn !== curves) { curves = drawn; follow(); }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
