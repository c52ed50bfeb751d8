// Pictures of each screen, light and dark, wide and narrow, into the folder $PICTURES.
import { denyScreen, launch, open } from "./browser.mjs";
import { fakeMicrophone, say } from "./fakes.mjs";

const folder = process.env.PICTURES;
const picture = process.env.PICTURE;
const LOOKS = [["light", 1280], ["dark", 1280], ["light", 390], ["dark", 390]];

const browser = await launch();
const QUESTION = "sb_spk1_snt2";
const before = async (page) => {
  await denyScreen(page);
  await fakeMicrophone(page, [QUESTION]);
};
const page = await open(browser, { before });
const link = (name) => page.getByRole("link", { name, exact: true }).click();
const button = (name) => page.getByRole("button", { name, exact: true });

// Scrolls to a part of the screen.
const toPart = (selector) => () => page.locator(selector).evaluate((part) => (part.closest(".topic") ?? part).scrollIntoView());

async function looks(name, only = LOOKS, before = toPart("body")) {
  for (const [scheme, width] of only) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: width > 600 ? 800 : 844 });
    await before();
    await page.waitForTimeout(250);
    await page.screenshot({ path: `${folder}/${name}-${scheme}-${width}.png`, fullPage: width < 600 });
  }
}

await looks("start");
await link("Models");
await page.locator(".cards dl").nth(3).waitFor({ timeout: 120_000 });
await looks("models");
await link("Simulator");
for (let i = 0; i < 8; i++) await button("10 steps").click();
await looks("simulator");
await looks("machine", LOOKS.slice(0, 2), toPart(".columns"));
await link("Settings");
await page.getByText("No fault.").waitFor();
await looks("settings");
await page.locator("textarea").fill((await page.locator("textarea").inputValue()).replace("fps      = 2.0", "fps      = -2\nspeed = 1"));
await page.locator(".faults li").first().waitFor();
await looks("faults", [["light", 1280]], toPart("fieldset:has(textarea)"));
await button("Bring the original back").click();
await link("About");
await looks("about");
await link("Narrate");
await button("Share a screen").click();
await page.getByRole("heading", { level: 1, name: "Nothing was shared" }).waitFor();
await looks("failure");
await button("Back to the start").click();

// The loading screen, held where it is.
await page.route("**/*model.safetensors-*.zz", async (route) => {
  await new Promise((go) => setTimeout(go, 4000));
  await route.continue().catch(() => {});
});
await page.locator("input[type=file]").setInputFiles(picture);
await page.getByRole("heading", { level: 1, name: "Bringing the model here" }).waitFor();
await looks("loading");
await page.locator(".transcript .words").filter({ hasText: /.{20}/ }).waitFor({ timeout: 500_000 });
await looks("live");
await link("Pipeline");
await looks("pipeline");
await link("Narrate");
await page.getByRole("heading", { level: 1, name: "Done" }).waitFor({ timeout: 240_000 });
await looks("done", [["light", 1280]]);
await link("Simulator");
await button("Measure it here").click();
await page.locator("figure.step figcaption").getByText(/^Real /).waitFor({ timeout: 240_000 });
await page.getByRole("slider", { name: "Dispatch" }).fill("20");
await looks("step", LOOKS, toPart("#step-title"));
await looks("gpus", LOOKS.slice(0, 2), toPart("#gpus-title"));

// A conversation, on the processor: beside a GPU in software the voice would get no time.
await link("Settings");
await page.getByLabel(/^The processor/).check();
await link("Narrate");
await button("Back to the start").click();
await button("Have a conversation").click();
await page.getByRole("heading", { level: 1, name: "In conversation" }).waitFor({ timeout: 240_000 });
await say(page, QUESTION);
await page.locator(".transcript li:not(.heard) .words").filter({ hasText: /.{8}/ }).waitFor({ timeout: 500_000 });
await looks("talk");
await button("Hands-free").click();
await looks("held", [["light", 390]]);
await browser.close();
