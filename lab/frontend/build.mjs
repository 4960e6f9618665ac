// Builds assets/*.js from src/ and lists the licenses of what went in. The output depends on nothing but
// the sources and package-lock.json, so that it can be compared byte for byte (check.sh).

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "..", "..", "assets");
mkdirSync(target, { recursive: true });

const sources = [
  "build.mjs",
  "package-lock.json",
  ...readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).replaceAll("\\", "/")),
].sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\0`).update(readFileSync(join(here, name)));

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/chart.js", "src/cube.js", "src/curves.js", "src/markup.js"],
  outdir: target,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "text" },
  metafile: true,
  banner: {
    js:
      "/* Built from lab/frontend; licenses in THIRD_PARTY_LICENSES.txt. " +
      `Sources sha256: ${digest.digest("hex")} */`,
  },
});

const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (found) packages.add(found[1]);
}
const notices = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const shipped = readdirSync(folder).sort().find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  // A package without a license file needs its text, from its README, in licenses/.
  const file = shipped ? join(folder, shipped) : join(here, "licenses", `${name}.txt`);
  return `${name} ${version} (${license})\n\n${readFileSync(file, "utf8").trim()}\n`;
});
const rule = `\n${"-".repeat(100)}\n\n`;
const intro = "The built files in this folder contain code of these packages:\n";
writeFileSync(join(target, "THIRD_PARTY_LICENSES.txt"), [intro, ...notices].join(rule));
for (const [file, { bytes }] of Object.entries(metafile.outputs)) console.log(file, bytes);
