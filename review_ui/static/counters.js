// Counts are fetched again only while somebody can see them, and at once when they come back to the page.
(() => {
  "use strict";
  let missed = false;

  document.addEventListener("htmx:before:request", (event) => {
    if (!document.hidden || !event.detail.ctx.sourceElement.hasAttribute("data-while-visible")) return;
    missed = true;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !missed) return;
    missed = false;
    for (const each of document.querySelectorAll("[data-while-visible]")) htmx.trigger(each, "every");
  });
})();
