// Caption sets: versions that never change, what changed between them, export and import.
import { call, file, ROOT } from "./api.js";
import { button, download, empty, field, fill, h, message, scrolling, select, tick, title } from "./dom.js";
import { diffNode } from "./diff.js";
import { counted, said, when } from "./words.js";

const FORMATS = [
  ["jsonl", "JSON lines"],
  ["csv", "CSV"],
  ["imagefolder", "ImageFolder metadata"],
];
const MOST_BYTES = 60 * 1024 * 1024;

/** @param {any} app @param {{name?: string, from?: any}} [start] a caption set to open, or a review set to make a version from */
export const captionsView = (app, start = {}) => {
  const heading = title("Caption sets");
  const content = h("div", { class: "rv-stack" });
  const mayKeep = app.me.may.includes("keep");
  const show = (words, ...children) => {
    heading.textContent = words;
    fill(content, ...children);
    heading.focus({ preventScroll: true });
  };
  const attempt = async (action) => {
    try {
      await action();
    } catch (error) {
      app.tell(error);
    }
  };
  const backButton = () => button("All caption sets", () => attempt(list));

  const list = async () => {
    const sets = await call("/caption-sets");
    const cards = sets.map((one) =>
      h(
        "li",
        { class: "rv-card", "data-caption-set": one.name },
        h("h3", { class: "df-sub" }, one.name),
        h(
          "p",
          { class: "df-dim" },
          `${counted(one.captions, "caption")} · ${counted(one.versions, "version")} · ${when(one.updated_at)}`,
        ),
        h(
          "div",
          { class: "df-row" },
          button("Open", () => attempt(() => open(one.name)), { "aria-label": `Open ${one.name}` }),
        ),
      ),
    );
    show(
      "Caption sets",
      mayKeep
        ? h(
            "div",
            { class: "df-row" },
            button("Make a version", () => attempt(make), { kind: "df-primary" }),
            button("Import a file", importing),
          )
        : null,
      cards.length
        ? h("ul", { class: "rv-cards" }, cards)
        : empty(
            "No caption sets yet",
            h(
              "p",
              {},
              "A caption set is made from what reviewers approved, edited and decided. Training and export use its versions.",
            ),
          ),
    );
  };

  const open = async (name) => {
    const versions = await call(`/caption-sets/${encodeURIComponent(name)}/versions`);
    const rows = versions.map((one) =>
      h(
        "tr",
        { "data-version": one.version },
        h("th", { scope: "row" }, `Version ${one.version}`),
        h("td", {}, counted(one.captions, "caption")),
        h("td", {}, `${one.added} added, ${one.edited} edited, ${one.removed} removed`),
        h(
          "td",
          {},
          [
            one.review_set ? `from ${one.review_set}` : "from a file",
            one.author ? `by ${one.author}` : "",
            when(one.created_at),
            one.note ? `“${one.note}”` : "",
          ]
            .filter(Boolean)
            .join(", "),
          h("span", { class: "rv-hash" }, ` ${one.content_hash.slice(0, 12)}`),
        ),
        h(
          "td",
          {},
          h(
            "div",
            { class: "df-row" },
            button("Captions", () => attempt(() => entries(name, one.version)), {
              "aria-label": `Captions of version ${one.version}`,
            }),
            button("Changes", () => attempt(() => changes(name, one.version)), {
              "aria-label": `Changes in version ${one.version}`,
            }),
            exporter(name, one.version),
          ),
        ),
      ),
    );
    show(
      name,
      h("div", { class: "df-row" }, backButton()),
      scrolling(
        "Versions",
        h(
          "table",
          { class: "df-table" },
          h("caption", {}, "Versions, the newest first"),
          h(
            "thead",
            { class: "df-sr" },
            h(
              "tr",
              {},
              ["Version", "Captions", "Changes", "Origin", "Actions"].map((words) =>
                h("th", { scope: "col" }, words),
              ),
            ),
          ),
          h("tbody", {}, rows),
        ),
      ),
    );
  };

  const exporter = (name, version) => {
    const format = select(FORMATS, { "aria-label": `Format of version ${version}` });
    return [
      format,
      button(
        "Export",
        () =>
          attempt(async () => {
            const found = await file(
              `${ROOT}/caption-sets/${encodeURIComponent(name)}/versions/${version}/export?format=${format.value}`,
            );
            download(
              found.blob,
              found.name ?? `${name}-${version}.${format.value === "csv" ? "csv" : "jsonl"}`,
            );
            app.announce("The file is downloaded.");
          }),
        { "aria-label": `Export version ${version}` },
      ),
    ];
  };

  const paged = async (name, address, heads, line, words, extra = null) => {
    const rows = h("tbody", {});
    const more = h("div", { class: "df-row" });
    const load = async (after) => {
      const page = await call(
        `${address}${after ? `${address.includes("?") ? "&" : "?"}after=${encodeURIComponent(after)}` : ""}`,
      );
      const { lines, next } = line(page);
      rows.append(...lines);
      fill(more, next ? button("More", () => attempt(() => load(next))) : null);
      return page;
    };
    const page = await load(null);
    show(
      words,
      h(
        "div",
        { class: "df-row" },
        button(`All versions of ${name}`, () => attempt(() => open(name))),
      ),
      extra?.(page),
      rows.children.length
        ? scrolling(
            words,
            h(
              "table",
              { class: "df-table rv-texts" },
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  heads.map((head) => h("th", { scope: "col" }, head)),
                ),
              ),
              rows,
            ),
          )
        : empty("Nothing here"),
      more,
    );
  };
  const entries = (name, version) =>
    paged(
      name,
      `/caption-sets/${encodeURIComponent(name)}/versions/${version}/entries?limit=100`,
      ["Image", "Caption", "How"],
      (page) => ({
        lines: page.map((one) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, `${one.dataset} / ${one.source}`),
            h("td", {}, one.text),
            h("td", {}, said(one.origin)),
          ),
        ),
        next: page.length === 100 ? page.at(-1).image_id : null,
      }),
      `${name}, version ${version}`,
    );
  const changes = (name, version) =>
    paged(
      name,
      `/caption-sets/${encodeURIComponent(name)}/changes?old=${version - 1}&new=${version}&limit=100`,
      ["Image", "Change", "Words"],
      (page) => ({
        lines: page.changes.map((one) =>
          h(
            "tr",
            { "data-change": one.change },
            h("th", { scope: "row" }, `${one.dataset} / ${one.source}`),
            h("td", {}, said(one.change)),
            h("td", {}, diffNode(one.words)),
          ),
        ),
        next: page.next,
      }),
      `Changes from version ${version - 1} to ${version}`,
      (page) => h("p", {}, `${page.added} added, ${page.edited} edited, ${page.removed} removed.`),
    );

  const make = async () => {
    const sets = (await call("/sets")).filter((one) => one.kind === "captions");
    if (!sets.length)
      return show(
        "Make a version",
        backButton(),
        empty(
          "There is no set of captions yet",
          h("p", {}, "Make a review set of captions first, and judge it."),
        ),
      );
    const chosen = select(
      sets.map((one) => [one.id, one.name]),
      { value: start.from?.id ?? sets[0].id },
    );
    const name = h("input", {
      type: "text",
      class: "rv-input",
      value: start.name ?? (start.from ?? sets[0]).name,
      maxlength: "200",
    });
    const note = h("input", { type: "text", class: "rv-input", maxlength: "1000" });
    const keep = tick("Start from the newest version, and let this review replace and remove", {
      checked: true,
    });
    show(
      "Make a version",
      h("div", { class: "df-row" }, backButton()),
      h(
        "div",
        { class: "rv-fields" },
        field("Review set", chosen),
        field("Name of the caption set", name, "An existing name gets a further version."),
        field("Note", note),
      ),
      keep.node,
      h(
        "p",
        { class: "df-dim" },
        "What is approved or edited by all, or decided by an adjudicator, goes in. What is rejected, undecided or disputed stays out.",
      ),
      h(
        "div",
        { class: "df-row" },
        button(
          "Make the version",
          () =>
            attempt(async () => {
              const made = await call("/caption-sets", {
                method: "POST",
                body: {
                  name: name.value.trim(),
                  review_set: chosen.value,
                  note: note.value.trim(),
                  keep: keep.box.checked,
                },
              });
              await open(made.name);
              app.announce(`Version ${made.version} has ${counted(made.captions, "caption")}.`);
            }),
          { kind: "df-primary" },
        ),
      ),
    );
    return undefined;
  };

  const importing = () => {
    const chosen = h("input", { type: "file", class: "rv-input", accept: ".csv,.json,.jsonl,.txt" });
    const format = select(FORMATS);
    const name = h("input", { type: "text", class: "rv-input", maxlength: "200" });
    const note = h("input", { type: "text", class: "rv-input", maxlength: "1000" });
    const result = h("div", { class: "rv-stack" });
    chosen.addEventListener("change", () => {
      const one = chosen.files[0];
      if (!one) return;
      format.value = one.name.endsWith(".csv")
        ? "csv"
        : one.name.startsWith("metadata")
          ? "imagefolder"
          : "jsonl";
      name.value ||= one.name.replace(/\.[^.]+$/, "");
    });
    show(
      "Import captions",
      h("div", { class: "df-row" }, backButton()),
      h(
        "div",
        { class: "rv-fields" },
        field("File", chosen, "What Export writes, or a table with a file name and a caption on each line."),
        field("Format", format),
        field("Name of the caption set", name),
        field("Note", note),
      ),
      h(
        "div",
        { class: "df-row" },
        button(
          "Import",
          () =>
            attempt(async () => {
              const one = chosen.files[0];
              if (!one) throw new Error("Choose a file first.");
              if (one.size > MOST_BYTES) throw new Error("The file is larger than 60 MB: split it.");
              const made = await call("/caption-sets/import", {
                method: "POST",
                body: {
                  name: name.value.trim(),
                  format: format.value,
                  content: await one.text(),
                  note: note.value.trim(),
                },
              });
              fill(
                result,
                importNode(made, () => attempt(() => open(made.version.name))),
              );
              app.announce(result.textContent);
            }),
          { kind: "df-primary" },
        ),
      ),
      result,
    );
  };

  attempt(async () => {
    if (start.from) await make();
    else await list();
  });
  return {
    node: h("section", { class: "rv-screen rv-stack" }, heading, content),
    focus: () => heading.focus({ preventScroll: true }),
  };
};

const importNode = (made, open) => [
  h(
    "p",
    { id: "rv-imported" },
    made.version
      ? `Version ${made.version.version} of ${made.version.name} was made: ${counted(made.kept, "caption")} kept.`
      : `Nothing new: ${counted(made.kept, "caption")} kept.`,
  ),
  made.unknown_count
    ? message(
        h(
          "p",
          {},
          `${counted(made.unknown_count, "image is", "images are")} not in the corpus, and left out:`,
        ),
        h(
          "ul",
          { class: "rv-plain-list" },
          made.unknown.map((one) => h("li", {}, one)),
        ),
      )
    : null,
  made.problem_count
    ? message(
        h("p", {}, `${counted(made.problem_count, "problem")}:`),
        h(
          "ul",
          { class: "rv-plain-list" },
          made.problems.map((one) => h("li", {}, one)),
        ),
      )
    : null,
  made.version ? h("div", { class: "df-row" }, button("Open it", open)) : null,
];
