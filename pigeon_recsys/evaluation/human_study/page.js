"use strict";

// The study page. Everything it shows is in the JSON beside it; nothing is fetched or sent.

const study = JSON.parse(document.getElementById("study").textContent);
const byId = (id) => document.getElementById(id);

// What a participant is shown. `sheet.py` draws the same; keep both alike.

function hashText(text) {
  let value = 0x811c9dc5;
  for (const letter of text) {
    value = Math.imul(value ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  }
  return value;
}

function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

function shuffled(items, next) {
  const shuffledItems = [...items];
  for (let last = shuffledItems.length - 1; last > 0; last--) {
    const other = next() % (last + 1);
    [shuffledItems[last], shuffledItems[other]] = [shuffledItems[other], shuffledItems[last]];
  }
  return shuffledItems;
}

function drawSheet(participant) {
  const next = randomNumbers(hashText(`${study.id}/${participant}`));
  const pool = shuffled(study.pairs, next).slice(0, study.perParticipant);
  const steps = [];
  for (const shown of shuffled([...pool, ...study.checks], next)) {
    const [first, second] = shown.pictures;
    const [left, right] = next() & 1 ? [second, first] : [first, second];
    shown.questions.forEach((question, index) => {
      steps.push({ pair: shown.id, task: shown.task, question, left, right, index, of: shown.questions.length });
    });
  }
  return steps;
}

// What the browser keeps. It may keep nothing (private windows, blocked storage).

const storageKey = (name) => `study/${study.id}/${name}`;

function keep(name, value) {
  try {
    localStorage.setItem(storageKey(name), JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function recall(name) {
  try {
    return JSON.parse(localStorage.getItem(storageKey(name)));
  } catch {
    return null;
  }
}

const CHOICES = study.tiesAllowed ? ["left", "right", "tie"] : ["left", "right"];

function savedRun(participant, steps) {
  const fresh = { participant, steps, answers: [], position: 0, finished: null };
  const saved = recall(`answers/${participant}`);
  const isWhole =
    Array.isArray(saved?.answers) &&
    saved.answers.length <= steps.length &&
    saved.answers.every((answer) => CHOICES.includes(answer?.choice) && Number.isInteger(answer?.ms)) &&
    Number.isInteger(saved.position) && saved.position >= 0 && saved.position <= saved.answers.length;
  return isWhole
    ? { ...fresh, answers: saved.answers, position: saved.position, finished: saved.finished }
    : fresh;
}

// The three screens.

const SETTLE_MS = 200; // a double click answers one question, not two
let run = null;
let shownAt = 0;

function show(screen) {
  for (const id of ["welcome", "step", "done"]) byId(id).hidden = id !== screen;
  window.scrollTo(0, 0);
}

function showWelcome() {
  const asked = new URLSearchParams(location.hash.slice(1)).get("participant");
  const known = recall("participant");
  const random = `p-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;
  byId("participant").value = asked ?? (typeof known === "string" ? known : random);
  byId("not-kept").hidden = keep("probe", true);
  noteSaved();
  show("welcome");
}

function noteSaved() {
  const participant = byId("participant").value.trim();
  const { position, steps } = savedRun(participant, drawSheet(participant));
  byId("resume").textContent = position ? `You go on where you stopped: ${position} of ${steps.length} answers are kept.` : "";
}

function start(event) {
  event.preventDefault();
  const participant = byId("participant").value.trim();
  run = savedRun(participant, drawSheet(participant));
  keep("participant", participant);
  showPosition();
}

function showPosition() {
  if (run.position < run.steps.length) showStep();
  else showDone();
}

function showStep() {
  const step = run.steps[run.position];
  const task = study.tasks[step.task];
  const numPairs = study.perParticipant + study.checks.length;
  const pairNumber = new Set(run.steps.slice(0, run.position + 1).map((each) => each.pair)).size;
  const part = step.of > 1 ? `, question ${step.index + 1} of ${step.of}` : "";
  byId("progress").textContent = `Pair ${pairNumber} of ${numPairs}${part}`;
  byId("bar").value = run.position / run.steps.length;
  showContext(task);
  byId("question").textContent = study.questions[step.question];
  for (const side of ["left", "right"]) byId(side).querySelector("img").src = study.images[step[side]];
  const earlier = run.answers[run.position]?.choice;
  for (const choice of CHOICES) byId(choice).setAttribute("aria-pressed", String(choice === earlier));
  byId("back").disabled = run.position === 0;
  show("step");
  byId("question").focus({ preventScroll: true });
  settle();
}

function settle() {
  shownAt = performance.now();
  const buttons = CHOICES.map(byId);
  for (const button of buttons) button.disabled = true;
  setTimeout(() => buttons.forEach((button) => (button.disabled = false)), SETTLE_MS);
}

function showContext(task) {
  byId("history-part").hidden = task.history.length === 0;
  byId("history").replaceChildren(
    ...task.history.map((code, index) => {
      const image = document.createElement("img");
      image.src = study.images[code];
      image.alt = `Liked picture ${index + 1} of ${task.history.length}`;
      return image;
    }),
  );
  byId("reference").hidden = task.reference === null;
  if (task.reference !== null) byId("reference").src = study.images[task.reference];
  byId("text").textContent = task.text;
}

function choose(choice) {
  if (byId(choice).disabled || byId("step").hidden) return;
  run.answers[run.position] = { choice, ms: Math.round(performance.now() - shownAt) };
  run.position += 1;
  if (run.position === run.steps.length) run.finished = Date.now();
  save();
  showPosition();
}

function goBack() {
  if (run === null || run.position === 0) return;
  run.position -= 1;
  save();
  showPosition();
}

function save() {
  const { participant, answers, position, finished } = run;
  keep(`answers/${participant}`, { answers, position, finished });
}

function showDone() {
  const content = JSON.stringify(answerFile(), null, 1);
  const link = byId("download");
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = `answers-${run.participant}.json`;
  byId("copy").value = content;
  show("done");
  byId("thanks").focus({ preventScroll: true });
}

function answerFile() {
  return {
    format: study.answerFormat,
    version: 1,
    study: study.id,
    participant: run.participant,
    finished_ms: Number.isInteger(run.finished) ? run.finished : Date.now(),
    answers: run.steps.map(({ pair, question, left, right }, index) => ({
      pair, question, left, right, ...run.answers[index],
    })),
  };
}

const KEYS = { ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"), Backspace: goBack };
if (study.tiesAllowed) KEYS["="] = () => choose("tie");

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea");
  const action = KEYS[event.key];
  if (!action || isTyping || event.ctrlKey || event.metaKey || event.altKey || !byId("welcome").hidden) return;
  event.preventDefault();
  if (!event.repeat) action();
});
for (const choice of CHOICES) byId(choice).addEventListener("click", () => choose(choice));
byId("back").addEventListener("click", goBack);
byId("reopen").addEventListener("click", goBack);
byId("start").addEventListener("submit", start);
byId("participant").addEventListener("input", noteSaved);
window.addEventListener("hashchange", showWelcome);
showWelcome();
