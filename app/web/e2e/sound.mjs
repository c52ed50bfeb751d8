// Sound in the page, from a person's side: read aloud, a conversation by voice, captions; and what happens without a microphone.
// Fakes stand at the browser's own interfaces: the screen, the microphone, an ear at the loudspeaker.
import assert from "node:assert/strict";
import { address, button, fakeScreen, heard, patience, titled, withPage } from "./browser.mjs";
import { faultsInBoth } from "./axe.mjs";
import { fakeMicrophone, hearSpeaker, noMicrophone, onProcessor, say, silenceAfter, soundFor, soundSoFar, soundTime } from "./fakes.mjs";

export const tests = [];
const test = (name, run) => tests.push({ name, run });

const LONG = 240_000 * patience;
const QUESTION = "sb_spk1_snt2";
const OBJECTION = "sb_spk2_snt3";

// By keyboard: a click waits for frames.
const press = (page, name) => button(page, name).press("Enter");
const floor = (page, who) => page.locator(`.floor[data-floor=${who}]`).waitFor({ timeout: LONG });
const meter = async (page) => Number(await page.getByRole("meter").getAttribute("aria-valuenow"));

async function microphone(page) {
  await onProcessor(page);
  await fakeMicrophone(page, [QUESTION]);
}

function nothingElseWasAsked(page) {
  const elsewhere = page.asked.filter((url) => !url.startsWith(address) && !url.startsWith("blob:"));
  assert.deepEqual(elsewhere, [], "the page asked somebody else");
  assert.deepEqual(page.said.filter((line) => /exception|Content Security|panicked|played something else/.test(line)), []);
}

test("finished words are read aloud, and skipping ends the sound", () =>
  withPage(
    {
      before: async (page) => {
        await onProcessor(page);
        await hearSpeaker(page);
        await fakeScreen(page, ["024"]);
      },
    },
    async (page) => {
      await button(page, "Share a screen").click();
      await titled(page, "Narrating your screen");
      await press(page, "Read aloud");
      const words = await heard(page, (text) => text.endsWith("."));
      const { seconds, loudness } = await soundFor(page, 0.5, LONG);
      assert(loudness > 0.01, `it is silent: ${loudness}`);
      const skipped = await soundTime(page);
      await press(page, "Skip this");
      const late = await silenceAfter(page, skipped);
      assert(late < 500, `it went on for ${late.toFixed(0)} ms`);
      await press(page, "Stop");
      await titled(page, "Done");
      nothingElseWasAsked(page);
      return `"${words}": loudness ${loudness.toFixed(3)} after ${seconds.toFixed(1)} s of sound, silent ${late.toFixed(0)} ms after the key`;
    },
  ));

test("what is said is answered aloud, and who speaks over it is heard", () =>
  withPage(
    {
      before: async (page) => {
        await onProcessor(page);
        await hearSpeaker(page);
        await fakeMicrophone(page, [QUESTION, OBJECTION]);
      },
    },
    async (page) => {
      await button(page, "Have a conversation").click();
      await titled(page, "In conversation", LONG);
      await page.locator(".floor", { hasText: "Listening" }).waitFor();
      await say(page, QUESTION);
      await floor(page, "Person");
      assert((await meter(page)) > 20, "the meter shows it");
      const mine = page.locator(".transcript li.heard:not(.streaming) .words");
      await mine.first().waitFor({ timeout: LONG });
      const transcript = await mine.first().textContent();
      assert.match(await heard(page, (text) => text.startsWith("You: "), LONG), /^You: ./);
      await floor(page, "Program");
      await floor(page, "Listening");
      const { loudness, seconds: whole } = await soundSoFar(page);
      assert(loudness > 0.01 && whole > 0.3, `it is silent: ${loudness}, ${whole} s`);
      const answer = await page.locator(".transcript li:not(.heard) .words").first().textContent();
      assert(answer.length > 1, "the answer is written as well");
      // Once more, and somebody speaks over it; not with the silence before their words, since the answer is short.
      await say(page, QUESTION);
      await floor(page, "Person");
      await soundFor(page, 0.1, LONG);
      await say(page, OBJECTION, 0.5);
      await floor(page, "Person");
      const known = await soundTime(page);
      const late = await silenceAfter(page, known);
      assert(late < 200, `it went on for ${late.toFixed(0)} ms`);
      const broken = (await soundSoFar(page)).seconds - whole;
      assert(broken < 0.8 * whole, `all of it was said: ${broken.toFixed(2)} of ${whole.toFixed(2)} s`);
      assert.deepEqual(await faultsInBoth(page, "conversation"), []);
      await page.getByRole("link", { name: "Pipeline" }).click();
      for (const type of ["vad.silero", "stt.parakeet", "turn.detect", "tts.piper"]) {
        await page.locator(".graph > li").filter({ hasText: type }).getByText(/[1-9]\d* out/).waitFor();
      }
      await page.getByRole("link", { name: "Narrate" }).click();
      await press(page, "Stop");
      await titled(page, "Done");
      assert.equal(await page.evaluate(() => fakeMicrophone.isOpen()), false, "the microphone is let go");
      nothingElseWasAsked(page);
      return `heard "${transcript}", answered "${answer}" for ${whole.toFixed(2)} s, broken off after ${broken.toFixed(2)} s, ${late.toFixed(0)} ms after the voice was known`;
    },
  ));

test("the microphone hears while a key is held, and not while it is muted", () =>
  withPage({ before: microphone }, async (page) => {
    await button(page, "Write down what is said").click();
    await titled(page, "Writing down what is said", LONG);
    await press(page, "Hands-free");
    await page.locator(".floor", { hasText: "Waiting for the key" }).waitFor();
    await say(page, QUESTION);
    await page.waitForTimeout(500);
    assert.equal(await meter(page), 0, "nothing is heard");
    await page.keyboard.down("F2");
    await page.locator(".hold.held").waitFor();
    await page.waitForFunction(() => document.querySelector("[role=meter]").getAttribute("aria-valuenow") > 20);
    await page.keyboard.up("F2");
    await page.waitForFunction(() => document.querySelector("[role=meter]").getAttribute("aria-valuenow") === "0");
    const hold = button(page, /^Hold to talk/);
    await hold.focus();
    await page.keyboard.down("Space");
    await page.locator(".hold.held").waitFor();
    await page.keyboard.up("Space");
    await press(page, "Hands-free");
    await press(page, "Mute");
    await page.locator(".floor", { hasText: "Muted" }).waitFor();
    await say(page, QUESTION);
    await page.waitForTimeout(500);
    assert.equal(await meter(page), 0, "muted is muted");
    assert.deepEqual(await faultsInBoth(page, "captions"), []);
    nothingElseWasAsked(page);
  }));

test("what is said is written down", () =>
  withPage({ before: microphone }, async (page) => {
    await button(page, "Write down what is said").click();
    await titled(page, "Writing down what is said", LONG);
    const seconds = await say(page, QUESTION);
    await page.locator(".transcript li.heard.streaming").waitFor({ timeout: LONG });
    await page.waitForTimeout(1000 * seconds);
    await press(page, "Stop");
    const whole = page.locator(".transcript li.heard:not(.streaming) .words");
    await whole.waitFor({ timeout: LONG });
    await titled(page, "Done");
    const words = await whole.textContent();
    assert.equal(await heard(page, (text) => text.startsWith("You: ")), `You: ${words}`);
    return `"${words}"`;
  }));

for (const [error, title] of [["NotAllowedError", "The microphone was not allowed"], ["NotFoundError", "There is no microphone"]]) {
  test(`a microphone that is not there says so and offers other ways (${error})`, () =>
    withPage({ before: (page) => noMicrophone(page, error) }, async (page) => {
      await button(page, "Have a conversation").click();
      await titled(page, title);
      assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1", "the focus moves to the words");
      assert(await button(page, "Share a screen").isVisible() && (await button(page, "Play the sample recording").isVisible()));
      assert.deepEqual(await faultsInBoth(page, error), []);
      await button(page, "Try again").click();
      await titled(page, title);
      await button(page, "Back to the start").click();
      await titled(page, "Hear what is on your screen");
    }));
}

test("a microphone that is unplugged says so", () =>
  withPage({ before: microphone }, async (page) => {
    await button(page, "Write down what is said").click();
    await titled(page, "Writing down what is said", LONG);
    await page.evaluate(() => fakeMicrophone.unplug());
    await titled(page, "There is no microphone");
    await press(page, "Try again");
    await titled(page, "Writing down what is said", LONG);
    assert.equal(await page.evaluate(() => fakeMicrophone.asked), 2);
  }));
