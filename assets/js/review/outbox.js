// What was decided and is not saved yet: kept here and in the browser's store, sent in order, sent again
// until the studio has it. Every entry carries its key, so that twice sent is once done.
import { call, newKey, Refusal, Unreachable, reviewer } from "./api.js";

const STORE = "dermaflux.review.outbox";
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;

/**
 * @typedef {{
 *   key: string, what: "verdict" | "adjudication" | "undo", set: string, item: number | null, body: any,
 *   as: string | null, state: "waiting" | "conflict" | "refused", sentence: string, current: any,
 *   chained: boolean, after: string | null, setName: string, position: number | null,
 * }} Entry
 * `chained`: an entry before it changes the revision. `after`: the entry that an undo takes back.
 */

/** @returns {Entry[]} */
const stored = () => {
  try {
    return JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    return [];
  }
};

const store = (entries) => {
  try {
    localStorage.setItem(STORE, JSON.stringify(entries));
  } catch {
    // The store is full or forbidden: memory has it still, and leaving the page warns.
  }
};

/**
 * The outbox of this window.
 * @param {{changed: () => void, saved: (entry: Entry, answer: any) => void, stopped: (entry: Entry) => void}} hears
 */
export const makeOutbox = (hears) => {
  /** @type {Entry[]} */
  let entries = stored();
  let isSending = false;
  let trouble = "";
  let wait = FIRST_WAIT_MS;
  let timer = 0;
  let isSessionSure = true;

  const keep = (entry) => {
    store([...stored().filter((one) => one.key !== entry.key), entry]);
  };
  const drop = (key) => {
    entries = entries.filter((one) => one.key !== key);
    store(stored().filter((one) => one.key !== key));
  };
  const sameItem = (one, other) =>
    one.set === other.set && (one.item === other.item || one.what === "undo" || other.what === "undo");
  // A session saves under its own name: what another person left behind waits for them.
  const isMine = (entry) => !reviewer.isSignedIn || entry.as === reviewer.name;
  const isNext = (entry, index) =>
    entry.state === "waiting" &&
    isMine(entry) &&
    !entries.slice(0, index).some((earlier) => sameItem(earlier, entry));

  const address = ({ what, set, item }) =>
    what === "undo" ? `/sets/${set}/undo` : `/sets/${set}/items/${item}/${what}`;

  const deliver = async (entry) => {
    if (!isSessionSure) {
      const { name } = await call("/me");
      if (name !== reviewer.name)
        throw new Unreachable(`${name} is signed in now: sign in as ${reviewer.name}.`);
      isSessionSure = true;
    }
    if (entry.chained) {
      const item = await call(`/sets/${entry.set}/items/${entry.item}`, { as: entry.as });
      entry.body.revision = item.verdict?.revision ?? 0;
      entry.chained = false;
      keep(entry);
    }
    const method = entry.what === "undo" ? "POST" : "PUT";
    const answer = await call(address(entry), { method, body: entry.body, as: entry.as });
    drop(entry.key);
    const item = entry.item ?? answer.item;
    for (const later of entries.filter((one) => one.chained && one.set === entry.set && one.item === item)) {
      later.body.revision = answer.verdict.revision;
      later.chained = false;
      keep(later);
    }
    hears.saved(entry, answer);
  };

  const stop = (entry, refusal) => {
    entry.state = refusal.status === 409 && refusal.current ? "conflict" : "refused";
    entry.sentence = refusal.message;
    entry.current = refusal.current;
    keep(entry);
    hears.stopped(entry);
  };

  const rest = (sentence) => {
    trouble = sentence;
    clearTimeout(timer);
    timer = setTimeout(pump, wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  };

  const pump = async () => {
    if (isSending) return;
    isSending = true;
    clearTimeout(timer);
    try {
      for (let entry = entries.find(isNext); entry; entry = entries.find(isNext)) {
        try {
          await deliver(entry);
          trouble = "";
          wait = FIRST_WAIT_MS;
        } catch (error) {
          if (error instanceof Refusal && error.status === 401) isSessionSure = false;
          if (error instanceof Refusal && error.status !== 401) stop(entry, error);
          else if (error instanceof Refusal || error instanceof Unreachable) {
            rest(error.message);
            break;
          } else throw error;
        }
        hears.changed();
      }
    } finally {
      isSending = false;
      hears.changed();
    }
  };

  window.addEventListener("online", () => pump());
  window.addEventListener("beforeunload", (event) => {
    if (entries.length) event.preventDefault();
  });
  window.addEventListener("storage", (event) => {
    if (event.key !== STORE) return;
    const left = new Set(stored().map((one) => one.key));
    entries = entries.filter((one) => left.has(one.key));
    hears.changed();
  });

  return {
    /**
     * Save this, now or as soon as it can be.
     * @param {Pick<Entry, "what" | "set" | "item" | "body" | "setName" | "position">} wanted
     */
    add: (wanted) => {
      const key = newKey();
      const earlier = entries.filter((one) => one.set === wanted.set);
      const entry = {
        ...wanted,
        key,
        body: { ...wanted.body, key },
        as: reviewer.name,
        state: "waiting",
        sentence: "",
        current: null,
        chained: wanted.what === "verdict" && earlier.some((one) => sameItem(one, wanted)),
        after: wanted.what === "undo" ? (earlier.at(-1)?.key ?? null) : null,
      };
      entries.push(entry);
      keep(entry);
      hears.changed();
      pump();
      return entry;
    },
    /** Send again what met another verdict, this time knowing of it. */
    insist: (entry) => {
      const key = newKey();
      drop(entry.key);
      const anew = {
        ...entry,
        key,
        state: "waiting",
        body: { ...entry.body, key, revision: entry.current.revision },
        current: null,
      };
      entries.push(anew);
      keep(anew);
      hears.changed();
      pump();
    },
    /** Give an entry up, and the undo that was meant for it. */
    discard: (entry) => {
      for (const one of entries.filter((other) => other.key === entry.key || other.after === entry.key))
        drop(one.key);
      hears.changed();
      pump();
    },
    pump,
    isMine,
    /** @returns {Entry[]} */
    all: () => entries,
    /** Whether an item has something unsaved. @param {string} set @param {number} item */
    holds: (set, item) => entries.some((one) => one.set === set && one.item === item),
    trouble: () => trouble,
  };
};
