// What Gradio's own markup lacks for people who do not use a mouse or do not see the page.
(() => {
  const nameGroups = () => {
    for (const group of document.querySelectorAll("fieldset:not([aria-label])")) {
      const title = group.querySelector('[data-testid="block-info"]');
      if (title) group.setAttribute("aria-label", title.textContent.trim());
    }
  };

  // One name a group makes arrow keys move inside it, as everywhere else.
  const joinRadios = () => {
    for (const group of document.querySelectorAll("fieldset[id]")) {
      for (const radio of group.querySelectorAll(`input[type=radio]:not([name="${group.id}"])`)) {
        if (group.id) radio.name = group.id;
      }
    }
  };

  // A close button inside a button cannot be told apart from it; the outer one only folds.
  const openToasts = () => {
    for (const header of document.querySelectorAll('.toast-header[role="button"]')) {
      header.removeAttribute("role");
      header.removeAttribute("tabindex");
    }
  };

  // Plotly adds its stylesheet once more for each way that leads to it.
  const tellStylesApart = () => {
    const [, ...copies] = document.querySelectorAll('style[id="plotly.js-style-global"]');
    for (const copy of copies) copy.removeAttribute("id");
  };

  // Plotly's mark brings an id along, once a chart.
  const tellMarksApart = () => {
    for (const mark of document.querySelectorAll(".modebar svg [id]")) mark.removeAttribute("id");
  };

  let due = false;
  const repair = () => {
    due = false;
    nameGroups();
    joinRadios();
    openToasts();
    tellStylesApart();
    tellMarksApart();
  };
  new MutationObserver(() => {
    if (!due) {
      due = true;
      requestAnimationFrame(repair);
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
