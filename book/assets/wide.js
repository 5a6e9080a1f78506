// Mark boxes whose content goes on to the right, so that their edge fades: a cue to scroll.
window.addEventListener("load", async () => {
  await document.fonts.ready;
  await window.MathJax?.startup?.promise;
  const boxes = document.querySelectorAll(
    ".bd-article :is(pre, .pst-scrollable-table-container, .text_html, mjx-container[display])",
  );
  const mark = (box) =>
    box.classList.toggle("tlm-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
  const resized = new ResizeObserver((changes) => changes.forEach(({ target }) => mark(target)));
  boxes.forEach((box) => {
    mark(box);
    resized.observe(box); // the window changed, or a folded part was opened
    box.addEventListener("scroll", () => mark(box), { passive: true });
  });
});
