// Runs the tests one after another, or those whose name has a word of the command line, the long ones with `--long` alone;
// exit code 1 if one fails.
import { tests as models } from "./models.mjs";
import { tests as sounds } from "./sound.mjs";
import { tests as others } from "./tests.mjs";

const tests = [...others, ...models, ...sounds];

const wanted = process.argv.slice(2).filter((word) => word !== "--long");
const isLong = process.argv.includes("--long");
const isWanted = ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word));
const chosen = tests.filter((test) => isWanted(test) && (isLong || !test.isLong));
let failed = 0;
for (const { name, run } of chosen) {
  const start = Date.now();
  const seconds = () => `${((Date.now() - start) / 1000).toFixed(1)} s`;
  try {
    const note = await run();
    console.log(`ok      ${name} (${seconds()})${note ? `: ${note}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name} (${seconds()})\n        ${error.stack ?? error}`);
  }
}
console.log(`${chosen.length - failed} of ${chosen.length} hold`);
process.exit(failed === 0 && chosen.length > 0 ? 0 : 1);
