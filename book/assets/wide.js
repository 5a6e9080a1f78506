// Mark boxes whose content goes on to the right, so that their edge fades: a cue to scroll.
window.addEventListener("load", async () => {
  await document.fonts.ready;
  await window.MathJax?.startup?.promise;
  const boxes = document.querySelectorAll(
    ".bd-article :is(pre, .pst-scrollable-table-container, .text_html, mjx-container[display])",
  );
  const mark = (box) => {
    const beyond = box.scrollWidth - box.clientWidth;
    box.classList.toggle("tlm-more", beyond - box.scrollLeft > 2);
    if (beyond > 2 && !box.matches("[tabindex]")) box.tabIndex = 0; // the keyboard scrolls it
  };
  const resized = new ResizeObserver((changes) => changes.forEach(({ target }) => mark(target)));
  boxes.forEach((box) => {
    mark(box);
    resized.observe(box); // the window changed, or a folded part was opened
    box.addEventListener("scroll", () => mark(box), { passive: true });
  });
});
