// Compares `web/vendor` with its list: each file is listed, is what the list says, and is of the version that the page's
// types are checked with.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";

const directory = new URL("../../web/vendor/", import.meta.url);
const read = (path) => readFileSync(new URL(path, directory));
const checked = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).devDependencies;
const listed = JSON.parse(read("versions.json"));

const problems = [];
for (const { file, name, sha256, version } of listed) {
  if (createHash("sha256").update(read(file)).digest("hex") !== sha256) problems.push(`${file} is not what its list says`);
  if (checked[name] !== version) problems.push(`${file} is of ${name} ${version}, and tests/web checks ${checked[name]}`);
}
const known = new Set(["versions.json", "LICENSES.txt", ...listed.map(({ file }) => file)]);
for (const entry of readdirSync(directory, { recursive: true })) {
  if (!known.has(entry)) problems.push(`${entry} is not on the list`);
}
if (listed.length === 0) problems.push("the list is empty");
if (problems.length > 0) {
  console.error(problems.map((problem) => `web/vendor: ${problem}`).join("\n"));
  process.exit(1);
}
