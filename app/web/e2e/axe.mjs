// axe-core on a page, past the page's own rules about scripts: it is evaluated, not loaded.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// What axe finds, a line each, with the name of the screen.
export async function faultsOf(page, screen) {
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const places = (violation) => violation.nodes.map((node) => node.target.join(" ")).join(", ");
  return violations.map((violation) => `${screen}: ${violation.id}: ${violation.help} (${places(violation)})`);
}

// The same, light and dark; nothing moves meanwhile, since a colour on its way is none that is meant.
export async function faultsInBoth(page, screen) {
  const faults = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    faults.push(...(await faultsOf(page, `${screen} ${colorScheme}`)));
  }
  return faults;
}
