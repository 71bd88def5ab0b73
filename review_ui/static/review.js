// The page of one item: keys, drafts, reviewing time, a claim kept alive. Without it the page is plain forms.
(() => {
  "use strict";

  const TOO_YOUNG = 250;         // ms: nobody has seen an item this new
  const IDLE_AFTER = 30_000;     // ms without a sign of life: no reviewing time any more
  const RENEW_EVERY = 60_000;    // ms, at most that often

  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const item = () => document.getElementById("item");
  const rail = () => find("form.rail");
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true });
  const isUsable = (element) => !element.disabled && isShown(element);

  let bornAt = performance.now();
  let sending = null;            // what is on its way: {key, again, discards}
  let failed = null;             // what to send again

  // --- keys -------------------------------------------------------------------------------------------------------

  const isTyping = (element) =>
    element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement || element.isContentEditable ||
    (element instanceof HTMLInputElement && !["radio", "checkbox", "button", "submit"].includes(element.type));

  const ownsEnterAndSpace = (element) => element.matches("button, a[href], summary, input[type=checkbox]");

  // The name a key goes by in key_table.py; null where a modifier makes it somebody else's.
  function nameOf(event) {
    const altGr = event.getModifierState("AltGraph");
    const held = !altGr && (event.ctrlKey || event.altKey || event.metaKey);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) return "Mod+Enter";
    if (held) return null;
    const isLetter = /^\p{L}$/u.test(event.key);
    if (isLetter && event.shiftKey) return null;
    return isLetter ? event.key.toLowerCase() : event.key;
  }

  function onKey(event) {
    const here = item();
    if (!here || here.dataset.shortcuts === "off") return;
    if (event.defaultPrevented || event.repeat || event.isComposing || event.keyCode === 229) return;
    const name = nameOf(event);
    if (!name || find("dialog[open]")) return;
    const focused = document.activeElement ?? document.body;
    if (name === "Escape") return leave(focused);
    if (isTyping(focused) && name !== "Mod+Enter") return;
    if ((name === "Enter" || name === " ") && ownsEnterAndSpace(focused)) return;
    if (sending || performance.now() - bornAt < TOO_YOUNG) return;
    if (act(name, focused)) event.preventDefault();
  }

  function act(name, focused) {
    const isChanging = Boolean(find(".change:checked", rail() ?? document));
    if (name === "Mod+Enter" || (name === "Enter" && isChanging)) return submitFrom(focused);
    if (/^[1-9]$/.test(name)) return choose(name);
    const target = all(`[data-keys~="${CSS.escape(name)}"]`).find((one) => isUsable(one) || one.closest(".pop-body"));
    if (!target || target.disabled) return false;
    if (target instanceof HTMLTextAreaElement) target.focus();
    else target.click();
    return true;
  }

  function leave(focused) {
    const open = all("details.pop[open]").filter((one) => one.contains(focused) || !isTyping(focused));
    if (open.length) {
      open.forEach((one) => { one.open = false; });
      find("summary", open[0])?.focus();
    } else if (isTyping(focused)) {
      (currentCriterion() && optionsOf(currentCriterion())[0] || find("#item-heading")).focus();
    }
  }

  function submitFrom(focused) {
    const button = focused.closest?.(".pop-body") ? find("button.primary", focused.closest(".pop-body"))
      : all('[data-keys~="Mod+Enter"]').find(isUsable);
    if (button) { button.click(); return true; }
    const options = currentCriterion() && optionsOf(currentCriterion());
    if (options?.length) { say("Press an answer to submit."); options[0].focus(); return true; }
    return false;
  }

  // --- criteria ---------------------------------------------------------------------------------------------------

  const criteria = () => all(".asked", rail() ?? document).filter((one) => optionsOf(one).length);
  const optionsOf = (criterion) => all("[data-option]", criterion).filter(isUsable);
  const isAnswered = (criterion) => Boolean(find("input:checked", criterion));

  function currentCriterion() {
    const known = criteria();
    return known.find((one) => one.hasAttribute("data-current")) ?? known.find((one) => !isAnswered(one)) ?? known[0];
  }

  function makeCurrent(criterion) {
    all(".asked[data-current]").forEach((one) => one.removeAttribute("data-current"));
    criterion?.setAttribute("data-current", "");
  }

  function choose(number) {
    const criterion = currentCriterion();
    const option = criterion && optionsOf(criterion).find((one) => one.dataset.option === number);
    if (!option) return false;
    option.click();
    if (option instanceof HTMLInputElement) goTo(nextToAnswer(criterion));
    return true;
  }

  function nextToAnswer(criterion) {
    const known = criteria();
    const after = [...known.slice(known.indexOf(criterion) + 1), ...known];
    return after.find((one) => !isAnswered(one));
  }

  function goTo(criterion) {
    makeCurrent(criterion);
    const target = criterion ? find("input:checked", criterion) ?? optionsOf(criterion)[0] : find("button.submit", rail());
    target?.focus({ preventScroll: true });
    (criterion ?? target)?.scrollIntoView({ block: "nearest" });
  }

  function move(kind, by) {
    if (kind === "criterion") {
      const known = criteria();
      const at = known.findIndex((one) => one.hasAttribute("data-current"));
      if (known.length) goTo(known[Math.min(Math.max(at + by, 0), known.length - 1)]);
      return;
    }
    const places = all(kind === "pane" ? ".pane" : ".pane mark[id]");
    if (!places.length) return say("No quote of the judge is in the text shown here.");
    const at = places.findIndex((one) => kind === "pane" ? one.contains(document.activeElement) : one.hasAttribute("data-here"));
    const next = places[(at + by + places.length + (at < 0 && by < 0 ? 1 : 0)) % places.length];
    if (kind === "mark") {
      all(".pane mark[data-here]").forEach((one) => one.removeAttribute("data-here"));
      next.setAttribute("data-here", "");
      next.tabIndex = -1;
      next.scrollIntoView({ block: "center" });
    }
    next.focus({ preventScroll: kind === "mark" });
  }

  // What the answers come to, as evaluator/scoring.py says it; the server computes it again.
  function propose() {
    const form = rail();
    const choice = form && find("#verdict", form);
    if (!choice) return;
    const known = criteria().length;
    const { verdict, open } = comesTo(form);
    const { picked } = choice.dataset;
    const overrides = Boolean(picked) && picked !== verdict;
    for (const one of all("input", choice)) {
      one.checked = one.value === (picked || verdict);
      one.parentElement.toggleAttribute("data-as-answered-one", overrides && one.value === verdict);
    }
    const asAnswered = verdict ? "as answered" : `${known - open} of ${known} answered`;
    const instead = verdict ? `yours; the answers come to ${verdict}` : isSingle(form) ? "yours; now press your answer" : "yours";
    find("#verdict-from", form).textContent = overrides ? instead : isSingle(form) ? "follows the answer you press" : asAnswered;
    find("[data-as-answered]", form).hidden = !overrides;
    askWhy(form, overrides);
  }

  const isSingle = (form) => !find("button.submit", form);

  // What a verdict other than the answers' needs before it can be sent; one answer alone is known once it is pressed.
  function askWhy(form, overrides) {
    find("#note", form).required = overrides && !isSingle(form);
    find(".note-why", form).textContent = overrides ? "say why the verdict is another" : "optional";
  }

  function pick(choice, value) {
    choice.dataset.picked = value === comesTo(rail()).verdict ? "" : value;
    propose();
    keepDraft();
    if (find("#note", rail()).required) find("#note", rail()).scrollIntoView({ block: "nearest" });
  }

  // The verdict of the answers given, with `pressed` in the place of the only one that is asked; "" while one is open.
  function comesTo(form, pressed) {
    const weights = { pass: 0, fail: 0, unknown: 0 };
    let criticalFails = false, criticalUnknown = false, open = 0;
    for (const one of all(".asked", form)) {
      const says = one.dataset.given ?? find("input:checked", one)?.dataset.says ?? pressed;
      if (says === undefined) { open += 1; continue; }
      if (says === "not_applicable") continue;
      weights[says] += Number(one.dataset.weight);
      if ("critical" in one.dataset && says === "fail") criticalFails = true;
      if ("critical" in one.dataset && says === "unknown") criticalUnknown = true;
    }
    return { verdict: open ? "" : verdictOf(weights, criticalFails, criticalUnknown, form.dataset), open };
  }

  function verdictOf(weights, criticalFails, criticalUnknown, thresholds) {
    const rounding = 1e-9;
    const answered = weights.pass + weights.fail;
    const undecided = !answered || criticalUnknown || weights.unknown > answered + rounding;
    if (criticalFails) return "fail";
    if (undecided) return "unknown";
    const share = weights.pass / answered;
    if (share >= Number(thresholds.passAt) - rounding) return "pass";
    return share >= Number(thresholds.partialAt) - rounding ? "partial" : "fail";
  }

  // --- what is said -----------------------------------------------------------------------------------------------

  function say(text) {
    const live = document.getElementById("live");
    live.textContent = "";
    setTimeout(() => { live.textContent = text; }, 30);
  }

  function alarm(title, lines, ...buttons) {
    const region = document.getElementById("alert");
    if (!region) return;
    const box = document.createElement("div");
    box.className = "alarm";
    box.dataset.alert = "";
    const strong = document.createElement("strong");
    strong.textContent = title;
    for (const content of [strong, ...lines]) {
      const line = document.createElement("p");
      line.append(content);
      box.append(line);
    }
    const acts = document.createElement("p");
    acts.className = "alarm-acts";
    acts.append(...buttons);
    if (buttons.length) box.append(acts);
    region.replaceChildren(box);
    region.focus();
  }

  function retryButton() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "primary";
    button.dataset.retry = "";
    button.textContent = "Retry";
    return button;
  }

  function askToSignIn() {
    const link = document.createElement("a");
    link.className = "button primary";
    link.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = "Sign in again";
    alarm("Your session has ended.", ["What you wrote is kept in this tab and is here again once you have signed in."], link);
  }

  // The server's own account of what went wrong; a proxy's page is not repeated.
  function tellProblem(status, text) {
    const told = all(".lead, .lead ~ p", new DOMParser().parseFromString(text, "text/html"))
      .filter((line) => !find("a", line)).map((line) => line.textContent.trim());
    const lines = told.length ? told : [`The server answered ${status}.`];
    alarm("This was not stored.", [...lines, "What you wrote is still here."], retryButton());
  }

  // --- drafts: what is typed outlives a reload, a crash and the end of a session ------------------------------------

  function draftKey(form = rail()) {
    const here = item();
    return here && form && `adjudge:${here.dataset.person}:${here.dataset.item}:${here.dataset.round}:${form.id}`;
  }

  function keepDraft() {
    const form = rail();
    const fields = {};
    for (const one of form.elements) {
      if (one.name === "verdict") continue;
      if (one instanceof HTMLInputElement && one.type === "radio" && one.checked) fields[one.name] = one.value;
      if (one instanceof HTMLTextAreaElement || one instanceof HTMLSelectElement) fields[one.name] = one.value;
    }
    fields.verdict = find("#verdict", form)?.dataset.picked ?? "";
    const form_key = form.elements.form_key?.value;
    try { sessionStorage.setItem(draftKey(form), JSON.stringify({ form_key, fields })); } catch { /* full or forbidden */ }
  }

  function restoreDraft() {
    const form = rail();
    let kept = null;
    try { kept = form && JSON.parse(sessionStorage.getItem(draftKey(form))); } catch { return; }
    if (!kept) return;
    if (kept.form_key && form.elements.form_key) form.elements.form_key.value = kept.form_key;
    for (const [name, value] of Object.entries(kept.fields)) {
      const field = form.elements[name];
      if (name === "verdict" && field) find("#verdict", form).dataset.picked = value;
      else if (field) field.value = value;
    }
    say("What you had written is here again.");
  }

  const forget = (key) => { try { sessionStorage.removeItem(key); } catch { /* forbidden */ } };

  // --- reviewing time and the claim -------------------------------------------------------------------------------

  const time = { active: 0, seenAt: performance.now(), aliveAt: performance.now(), renewedAt: performance.now() };

  function count() {
    const now = performance.now();
    if (document.visibilityState === "visible") {
      time.active += Math.max(0, Math.min(now, time.aliveAt + IDLE_AFTER) - time.seenAt);
    }
    time.seenAt = now;
  }

  function onLife() {
    count();
    time.aliveAt = performance.now();
    if (document.visibilityState === "visible" && time.aliveAt - time.renewedAt >= RENEW_EVERY) renew();
  }

  async function renew() {
    const here = item();
    time.renewedAt = performance.now();
    if (!here?.dataset.renew) return;
    try {
      const body = new URLSearchParams({ token: here.dataset.token });
      const answer = await fetch(here.dataset.renew, { method: "POST", body, redirect: "manual" });
      if (here !== item() || sending) return;
      if (answer.status === 401) askToSignIn();
      else if (answer.status === 409) alarm("Your claim has run out.", [await answer.text()]);
    } catch { /* offline: submitting says so */ }
  }

  // --- one request at a time, and what comes of it ------------------------------------------------------------------

  function beforeRequest(event) {
    const { ctx } = event.detail;
    const source = ctx.sourceElement;
    const submitter = ctx.request.submitter;
    sending = {
      // claiming sends no answers: what was written before the item was lost is good still
      key: draftKey(), posts: ctx.request.method === "POST" && !item().matches(".mode-free"), focused: document.activeElement,
      again: () => (source instanceof HTMLFormElement ? source.requestSubmit(submitter ?? undefined) : source.click()),
    };
    failed = null;
  }

  function beforeSwap(event) {
    const { ctx } = event.detail;
    const { raw, status } = ctx.response;
    const isHtml = raw.headers.get("content-type")?.startsWith("text/html");
    const arrivedAt = new URL(raw.url, location.href).pathname;
    failed = sending;
    if (status === 401 || (raw.redirected && arrivedAt.startsWith("/sign-in"))) {
      event.preventDefault();
      askToSignIn();
    } else if (raw.redirected) {
      event.preventDefault();
      location.assign(raw.url);
    } else if (status >= 500 || !isHtml) {
      event.preventDefault();
      tellProblem(status, ctx.text);
    }
  }

  function afterSwap(event) {
    const { ctx } = event.detail;
    if (ctx.response.status === 400 && sending?.focused?.matches("textarea") && sending.focused.isConnected) {
      // what is missing is written there: taken elsewhere, the next letters would act as keys
      return sending.focused.focus();
    }
    if (ctx.response.status >= 400) return document.getElementById("alert")?.focus();
    if (!item() || ctx.select) return undefined;
    if (sending?.posts) forget(sending.key);
    failed = null;
    arrive();
    const heading = find("#item-heading");
    heading.focus({ preventScroll: true });
    window.scrollTo(0, 0);
    say(item().dataset.said);
    return undefined;
  }

  function onNetworkError(event) {
    if (!event.detail.ctx?.request) return;
    failed = sending;
    alarm(
      navigator.onLine ? "The server could not be reached." : "You are offline.",
      ["Nothing is lost: what you wrote is still here.", "Sending it again does not store it twice."], retryButton(),
    );
  }

  function afterRequest() {
    const was = sending?.focused;
    sending = null;
    setTimeout(() => { if (document.activeElement === document.body && was?.isConnected) was.focus(); });
  }

  // --- start --------------------------------------------------------------------------------------------------------

  function arrive() {
    bornAt = performance.now();
    Object.assign(time, { active: 0, seenAt: bornAt, aliveAt: bornAt, renewedAt: bornAt });
    if (item().matches(".mode-revealed, .mode-read")) forget(draftKey()?.replace("change-form", "answer-form"));
    restoreDraft();
    makeCurrent(currentCriterion());
    propose();
  }

  function onClick(event) {
    const target = event.target.closest("[data-move], [data-opens], [data-retry], [data-forgets], [data-as-answered], button[data-says]");
    if (!target) return;
    if ("says" in target.dataset) {
      const { picked } = find("#verdict").dataset;
      find("#note").required = Boolean(picked) && picked !== comesTo(rail(), target.dataset.says).verdict;
    }
    if ("asAnswered" in target.dataset) {
      pick(find("#verdict"), "");
      (find("#verdict input:checked") ?? find("#verdict input")).focus();
    }
    if (target.dataset.move) move(target.dataset.move, Number(target.dataset.by ?? 1));
    if (target.dataset.opens) document.getElementById(target.dataset.opens).showModal();
    if ("retry" in target.dataset) failed?.again();
    if ("forgets" in target.dataset) forget(draftKey());
  }

  function onToggle(event) {
    const details = event.target;
    if (details instanceof HTMLDetailsElement && details.open && details.matches(".pop.up")) {
      find("textarea, button", find(".pop-body", details))?.focus();
    }
  }

  function onInput(event) {
    if (!event.target.form || event.target.form !== rail()) return;
    if (event.target.matches("[data-change]")) {
      makeCurrent(criteria()[0]);
      if (event.target.checked) goTo(criteria()[0]);
      return;
    }
    if (event.target.name === "verdict") {
      pick(find("#verdict"), event.target.value);
      return;
    }
    makeCurrent(event.target.closest(".asked") ?? find(".asked[data-current]"));
    propose();
    keepDraft();
  }

  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.addEventListener("toggle", onToggle, true);
  document.addEventListener("input", onInput);
  document.addEventListener("change", (event) => { if (event.target.matches("input, select")) onInput(event); });
  document.addEventListener("focusin", (event) => {
    const criterion = event.target.closest?.(".asked");
    if (criterion && optionsOf(criterion).length) makeCurrent(criterion);
  });
  document.addEventListener("formdata", (event) => {
    count();
    if (event.target !== rail()) return;
    event.formData.set("active_ms", String(Math.round(time.active)));
    const choice = find("#verdict");
    if (choice && event.formData.has("verdict")) event.formData.set("verdict", choice.dataset.picked);
  });
  for (const sign of ["keydown", "pointerdown", "pointermove", "wheel", "scroll", "touchmove"]) {
    document.addEventListener(sign, onLife, { capture: true, passive: true });
  }
  document.addEventListener("visibilitychange", onLife);
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  document.addEventListener("htmx:before:request", beforeRequest);
  document.addEventListener("htmx:before:swap", beforeSwap);
  document.addEventListener("htmx:after:swap", afterSwap);
  document.addEventListener("htmx:error", onNetworkError);
  document.addEventListener("htmx:finally:request", afterRequest);

  if (item()) {
    arrive();
    if (document.activeElement === document.body) find("[data-alert]") ? find("#alert").focus() : find("#item-heading").focus();
    if (item().dataset.said) say(item().dataset.said);
  }
})();
