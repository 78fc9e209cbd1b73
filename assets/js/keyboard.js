// Keys: Ctrl+Enter generates, Escape cancels, ? lists them, arrows leaf through open images.
(() => {
  const press = (id) => {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
    return Boolean(button) && !button.disabled;
  };
  const selectedTab = () => document.querySelector('[role="tab"][aria-selected="true"]')?.dataset.tabId;
  const typing = (target) => target.matches?.("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=range])");

  const leaf = (key) => {
    const dialog = document.querySelector("dialog.df-image-dialog[open]");
    const direction = { ArrowLeft: "previous", ArrowRight: "next" }[key];
    if (dialog && direction) dialog.querySelector(`[data-leaf="${direction}"] button`)?.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    const inDialog = Boolean(document.querySelector("dialog[open]"));
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !inDialog) {
      event.preventDefault();
      // A field hands its text over on blur; the click must come after it.
      document.activeElement?.blur();
      setTimeout(() => press(selectedTab() === "compose" ? "compose-generate" : "generate"), 50);
      return;
    }
    if (event.key === "Escape" && !inDialog && !typing(event.target) && !document.querySelector(".options")) {
      press("cancel");
    }
    if (event.key === "?" && !inDialog && !typing(event.target)) {
      event.preventDefault();
      document.getElementById("help")?.showModal();
    }
    if (!typing(event.target)) leaf(event.key);
  });
})();
