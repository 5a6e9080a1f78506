// The page on which a model writes: book/talk.md. Needs gpt.js and models.js.
"use strict";

window.addEventListener("load", () => {
  const root = document.getElementById("tlm-talk");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  if (!window.TinyLM?.Reader || !window.TinyLMModels) {
    part("missing").textContent = "The models of this page did not load.";
    return;
  }
  const { END_OF_TEXT, Reader, Tokenizer, best, random, sample, softmax } = window.TinyLM;
  const SHOWN = 10; // next tokens in the table
  const MOST_BITS = 8; // of surprise, which the darkest shade stands for
  const PART = 60; // tokens that one press writes, and a few more to the end of the word
  const LONGEST_WORD = 12; // of tokens
  const SLICE_MS = 40; // how long the page is not drawn while a model writes

  const tokenizer = new Tokenizer(window.TinyLMModels[0].merges);
  const readers = window.TinyLMModels.map((packed) => new Reader(packed));
  let tokens = [END_OF_TEXT];
  let prompted = 1; // tokens that the reader wrote, the first included
  let chosen = null; // the token looked at
  let writing = null; // the press of the button that is being answered

  const field = (name) => root.querySelector(`[name="${name}"]`);
  const value = (name) => Number(field(name).value);
  const index = () => Number(root.querySelector('[name="model"]:checked').value);
  const reader = () => readers[index()];
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const say = (text) => (part("said").textContent = text);
  const short = (n) =>
    n < 1e6 ? `${Math.round(n / 1e3)} thousand` : `${Number((n / 1e6).toFixed(1))} million`;
  const percent = (share) =>
    share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

  /** Let a model read what it has not read of the tokens; logits after the last. */
  function catchUp(model) {
    let same = 0;
    while (same < model.tokens.length && model.tokens[same] === tokens[same]) same++;
    model.keep(same);
    for (let i = same; i < tokens.length; i++) {
      const shares = i ? softmax(Float64Array.from(model.logits[i - 1])) : null;
      model.bits[i] = i ? -Math.log2(shares[tokens[i]]) : 0;
      model.read(tokens[i]);
    }
    return model.logits[tokens.length - 1];
  }

  /** A token by itself: its blanks to be seen, parts of a character as bytes. */
  function named(id) {
    if (id === END_OF_TEXT) return "(end)";
    const bytes = tokenizer.pieces[id];
    const text = tokenizer.decode([id]);
    if (text.includes("\uFFFD")) {
      return bytes.map((byte) => `<${byte.toString(16).toUpperCase()}>`).join("");
    }
    return text.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥");
  }

  /** What each token shows in the story: a character may be spread over several tokens. */
  function texts() {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return tokens.map((id) => {
      if (id === END_OF_TEXT) return "∎";
      const bytes = Uint8Array.from(tokenizer.pieces[id]);
      return decoder.decode(bytes, { stream: true }).replace(/\n/g, "⏎\n") || "·";
    });
  }

  /** How dark each token is: by its surprise, or by the attention paid to it. */
  function shades(model) {
    const head = field("shade").value;
    if (head === "" || chosen === null) return model.bits.map((bits) => bits / MOST_BITS);
    const [layer, which] = head.split(",").map(Number);
    const paid = model.attention[chosen - 1][layer * model.config.n_heads + which];
    return tokens.map((_, at) => Math.sqrt(paid[at] ?? 0));
  }

  function drawStory() {
    const model = reader();
    catchUp(model);
    const story = part("story");
    const [shade, shown] = [shades(model), texts()];
    while (story.children.length > tokens.length) story.lastChild.remove();
    for (let at = story.children.length; at < tokens.length; at++) {
      const token = make("span", { className: "tlm-token" }); // a button would not break lines
      if (at) {
        token.setAttribute("role", "button");
        token.addEventListener("click", () => look(at));
      }
      story.append(token);
    }
    tokens.forEach((id, at) => {
      const token = story.children[at];
      const text = at ? shown[at] : "⟨start⟩ ";
      if (token.textContent !== text) token.textContent = text;
      token.style.setProperty("--shade", Math.min(1, shade[at]).toFixed(3));
      if (!at) return;
      token.setAttribute("aria-label", named(id));
      token.classList.toggle("tlm-own", at < prompted);
      token.setAttribute("aria-current", String(at === chosen));
      token.tabIndex = at === (chosen ?? 1) ? 0 : -1;
    });
    part("legend").textContent =
      field("shade").value === "" || chosen === null
        ? `Bold is yours. The darker a token, the more it surprised the chosen model; the darkest by ${MOST_BITS} bits, a chance of 1 in ${2 ** MOST_BITS}, or more.`
        : "The darker a token, the more of this head's attention it had when the model guessed at the framed one. Shades are of square roots, so that small shares are seen.";
  }

  /** What every model expected where the chosen token stands. */
  function drawChoice() {
    const box = part("choice");
    box.replaceChildren();
    part("heads").hidden = chosen === null;
    if (chosen === null) return;
    const id = tokens[chosen];
    const columns = readers.map((model) => {
      catchUp(model);
      const shares = softmax(Float64Array.from(model.logits[chosen - 1]));
      return { model, shares, top: best(shares, SHOWN) };
    });
    const head = columns.map(({ model }) =>
      make("th", { scope: "col", textContent: short(model.about.parameters) }),
    );
    const rows = Array.from({ length: SHOWN }, (_, rank) =>
      make("tr", {}, [
        make("th", { scope: "row", textContent: String(rank + 1) }),
        ...columns.map(({ shares, top }) => {
          const token = top[rank];
          const cell = make("td", { className: token === id ? "tlm-hit" : "" }, [
            make("code", { textContent: named(token) }),
            make("span", { textContent: percent(shares[token]) }),
          ]);
          if (token === id) cell.setAttribute("aria-current", "true");
          cell.style.setProperty("--share", shares[token].toFixed(4));
          return cell;
        }),
      ]),
    );
    const surprise = columns.map(({ model, shares }) =>
      make("td", { textContent: `${model.bits[chosen].toFixed(1)} bits, ${percent(shares[id])}` }),
    );
    rows.push(
      make("tr", {}, [
        make("th", { scope: "row", textContent: `surprise at “${named(id)}”` }),
        ...surprise,
      ]),
    );
    box.append(
      make("table", {}, [
        make("caption", {
          textContent: `What could have stood for “${named(id)}”: guesses of the models, by their parameters`,
        }),
        make("thead", {}, [
          make("tr", {}, [make("th", { scope: "col", textContent: "rank" }), ...head]),
        ]),
        make("tbody", {}, rows),
      ]),
    );
  }

  function drawHeads() {
    const { n_layers, n_heads, kv_heads, induction_heads } = reader().config;
    const choice = field("shade");
    const before = choice.value;
    choice.replaceChildren(make("option", { value: "", textContent: "surprise" }));
    for (let layer = 0; layer < n_layers; layer++) {
      for (let head = 0; head < n_heads; head++) {
        const copies = Math.floor((head * kv_heads) / n_heads) >= kv_heads - induction_heads;
        const name = `attention of layer ${layer + 1}, head ${head + 1}`;
        choice.append(
          make("option", {
            value: `${layer},${head}`,
            textContent: copies ? `${name}, of induction` : name,
          }),
        );
      }
    }
    choice.value = before;
    if (choice.selectedIndex < 0) choice.value = "";
  }

  function draw() {
    drawHeads();
    drawStory();
    drawChoice();
  }

  function look(at) {
    chosen = Math.min(Math.max(at, 1), tokens.length - 1);
    drawStory();
    drawChoice();
    const id = tokens[chosen];
    const told = readers.map((model) => percent(2 ** -model.bits[chosen])).join(", ");
    say(`“${named(id)}”: ${told}`);
  }

  /** Take the text of the box as what the story begins with, if it is another. */
  function begin() {
    const { context_length: context } = reader().config;
    const ids = [END_OF_TEXT, ...tokenizer.encode(field("begin").value)];
    const kept = ids.slice(0, context);
    const same = kept.length === prompted && kept.every((id, i) => id === tokens[i]);
    if (!same) restart(kept);
    if (ids.length > context) say(`Only the first ${context - 1} tokens fit into the context.`);
  }

  function restart(ids) {
    writing = null;
    tokens = ids;
    prompted = ids.length;
    chosen = ids.length > 1 ? ids.length - 1 : null;
    say("");
  }

  /** Why a model may not write on; "" if it may. */
  function ended(model, written) {
    const { context_length: context } = model.config;
    if (tokens.length > 1 && tokens.at(-1) === END_OF_TEXT) return "The story is at its end.";
    if (tokens.length >= context) return `The context of ${context} tokens is full.`;
    return written >= PART + LONGEST_WORD ? " " : "";
  }

  function write() {
    begin();
    const press = {};
    writing = press;
    const began = performance.now();
    let written = 0;
    const go = () => {
      if (writing !== press) return;
      const slice = performance.now();
      let why = "";
      while (!why && performance.now() - slice < SLICE_MS) {
        const model = reader();
        why = ended(model, written);
        if (why) break;
        const draws = random(1000 * value("seed") + tokens.length); // the same at the same place
        const next = sample(catchUp(model), value("temperature"), value("top_k"), draws);
        const starts = /^[\s∎]/.test(next === END_OF_TEXT ? "∎" : tokenizer.decode([next]));
        if (written >= PART && starts) why = " ";
        else {
          tokens.push(next);
          written++;
        }
      }
      drawStory();
      if (!why) return void setTimeout(go);
      writing = null;
      drawChoice();
      const pace = Math.round((1000 * written) / (performance.now() - began));
      say(`${written ? `${pace} tokens per second. ` : ""}${why}`.trim());
    };
    go();
  }

  root.addEventListener("input", ({ target }) => {
    const told = target.closest("label")?.querySelector("output");
    if (told) told.textContent = target.value;
    if (target.name === "model") say("");
    if (target.name === "begin") begin();
    if (["begin", "model", "shade"].includes(target.name)) draw();
  });
  part("go").addEventListener("click", write);
  part("again").addEventListener("click", () => {
    restart(tokens.slice(0, prompted));
    draw();
  });
  part("before").addEventListener("click", () => look((chosen ?? 2) - 1));
  part("after").addEventListener("click", () => look((chosen ?? 0) + 1));
  part("story").addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const from = chosen ?? 1;
    const step = chosen === null ? 0 : 1;
    const at = {
      ArrowRight: from + step,
      ArrowLeft: from - step,
      Home: 1,
      End: tokens.length - 1,
      Enter: from,
      " ": from,
    }[event.key];
    if (at === undefined || tokens.length < 2) return;
    event.preventDefault();
    look(at);
    part("story").children[chosen].focus();
  });
  root.querySelectorAll("[data-fill]").forEach((button) =>
    button.addEventListener("click", () => {
      field("begin").value = button.dataset.fill;
      begin();
      draw();
    }),
  );

  const names = ["smallest", "middle", "largest"];
  part("models").append(
    ...readers.map(({ about }, i) =>
      make("label", {}, [
        make("input", {
          type: "radio",
          name: "model",
          value: String(i),
          checked: i === readers.length - 1,
        }),
        ` ${names.length === readers.length ? `the ${names[i]}, ` : ""}${short(about.parameters)} parameters`,
      ]),
    ),
  );
  const cost = Math.max(0, ...readers.map(({ about }) => about.rounding)).toFixed(3);
  const losses = readers.map(({ about }) => about.nats.toFixed(2)).join(", ");
  document.getElementById("tlm-talk-about").textContent =
    `They read ${short(readers[0].about.tokens)} tokens each, and end at ${losses} nats per token ` +
    `on stories that they have not seen, the smallest first. In this page their matrices have ` +
    `eight bits a weight, which costs at most ${cost} nats.`;

  /** Everything by what the form says, which a browser may have restored. */
  function sync() {
    root.querySelectorAll("output").forEach((told) => {
      told.textContent = told.closest("label").querySelector("input").value;
    });
    begin();
    draw();
    root.dataset.ready = "true";
  }
  part("all").hidden = false;
  sync();
  window.addEventListener("pageshow", () => setTimeout(sync));
});
