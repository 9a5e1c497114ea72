// speedscope's own importer, run under Node: what it finds in a file.
//
// node tests/reader/speedscope.js RELEASE FILE     RELEASE is dist/release of its npm package
//
// Prints a JSON array: of each profile its name, its total, and what its frames have themselves. The package has the
// importer only inside the script of its page. That script runs here up to the line that draws the page, in a browser
// whose every part is a stand-in: importing asks nothing of them.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [release, file] = process.argv.slice(2);

const importer = () => {
  const name = fs.readdirSync(release).find((each) => /^speedscope-.*\.js$/.test(each));
  const script = fs.readFileSync(path.join(release, name), "utf8");
  // What the page calls for files that other programs hand to it; its name is a short one of the bundler's.
  const call = /loadFileFromBase64:\((\w+),(\w+)\)=>\{this\.loadProfile\(\(\)=>([\w$]+)\(\1,\2\)\)\}/.exec(script);
  const start = script.lastIndexOf("console.log(`speedscope v");
  if (!call || start < 0) throw new Error(`${name} is not as this script knows speedscope: which release is it of?`);
  const nothing = new Proxy(function () {}, {
    get: (_target, key) => (key === Symbol.toPrimitive ? () => "" : nothing),
    apply: () => nothing,
    construct: () => nothing,
    set: () => true,
  });
  globalThis.window = globalThis;
  for (const part of ["document", "addEventListener", "requestAnimationFrame", "matchMedia", "localStorage", "location"]) {
    globalThis[part] = nothing;
  }
  // Standard output is for the result.
  console.log = console.error;
  vm.runInThisContext(`${script.slice(0, start)}globalThis.importProfile=${call[3]}})();`, { filename: name });
  return globalThis.importProfile;
};

const main = async () => {
  const group = await importer()(path.basename(file), fs.readFileSync(file).toString("base64"));
  if (!group) throw new Error("speedscope does not know what it is");
  const profiles = group.profiles.map((profile) => {
    let own = 0;
    profile.forEachFrame((frame) => { own += frame.getSelfWeight(); });
    return { name: profile.getName(), unit: profile.getWeightUnit(), total: profile.getTotalWeight(), own };
  });
  process.stdout.write(JSON.stringify(profiles));
};

main().catch((fault) => {
  console.error(fault.message);
  process.exitCode = 1;
});
