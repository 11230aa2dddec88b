// Targets `settings` and `uris`: what an operator writes becomes settings, or a ConfigFault that names what is wrong
// and where, and holds no secret; settings that are written down again are the same when they are read.
//
// Input of `settings`: the INI file; then, after a line `---`, environment variables; after another one, flags.

import assert from "node:assert/strict";
import { AmqpUriFault, parseAmqpUri, redactUri } from "../../../src/client/amqp_uri.ts";
import { configOf } from "../../../src/config/config.ts";
import { ConfigFault } from "../../../src/config/fault.ts";
import { type Environment, type Flags, loadSettings, type Settings } from "../../../src/config/load.ts";
import { CONFIG_FILE_VARIABLE, OPTION_NAMES, type OptionName, OPTIONS } from "../../../src/config/options.ts";
import { settingsText } from "../../../src/config/print.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { mutate } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";

const FILE = "fuzzed.ini";
const SEPARATOR = "---";
/** Where a password may show: nowhere. */
const SECRET = "s3cr3t-Pa55word";
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const VALUES: readonly string[] = [
  ...["", "0", "1", "-1", "00", "+5", "65535", "65536", "4096", "8191", "8192", "8 MiB", "8MiB", "1 gib", "512 MiB"],
  ...["9007199254740993", "999999999999999", "9".repeat(400), "0x10", "1e3", "1.5", "true", "FALSE", "yes", "off"],
  ...["info", "none", "mapped", "auto", "127.0.0.1", "::1", "a=b;c#d", "é", " x ", "\t", "'", '"', "\u2028", "\u0007"],
  ...["__proto__", "constructor", "NaN", "Infinity", "-0", "2 ** 3", "%41", "${HOME}", SECRET],
];

export const settings: FuzzTarget = {
  name: "settings",
  form: "text",
  share: 2,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(5)) return mutate(random.pick(corpus), random, corpus);
    const parts = [file(random), environment(random), flags(random)];
    const input = ENCODER.encode(parts.join(`\n${SEPARATOR}\n`));
    return random.oneIn(4) ? mutate(input, random, corpus) : input;
  },

  check(input) {
    const text = DECODER.decode(input);
    const [ini = "", variables = "", words = ""] = text.split(`\n${SEPARATOR}\n`);
    const environment: Environment = { HOME: "/home/hare", ...pairs(variables), [CONFIG_FILE_VARIABLE]: FILE };
    const given = flagsOf(words);
    const found = load(ini, environment, given);
    if (found instanceof ConfigFault) return expectNamed(found, ini, environment, text.split(SECRET).length === 2);
    const { tlsKey, tlsCertificate } = found.values;
    if (tlsKey !== "" && tlsCertificate === "") {
      assert.throws(() => configOf(found.values), /^ConfigFault: 'tls_key'/);
      return;
    }
    configOf(found.values);
    expectSettings(settingsText(found));
    expectSame(found);
  },

  pieces: (input) => DECODER.decode(input).split(/(?<=\n)/).map((line) => ENCODER.encode(line)),
};

function load(ini: string, environment: Environment, given: Flags): Settings | ConfigFault {
  try {
    return loadSettings(given, environment, (path) => {
      assert.equal(path, FILE);
      return ini;
    });
  } catch (error) {
    if (error instanceof ConfigFault) return error;
    throw error;
  }
}

/** A fault says where it was found, in one line. A secret that stands once stands for nothing but the password. */
function expectNamed({ message }: ConfigFault, ini: string, environment: Environment, isOneSecret: boolean): void {
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x1f\x7f]/.test(message), `a fault is one line of text: ${JSON.stringify(message)}`);
  const inFile = /fuzzed\.ini.*line (\d+)/.exec(message);
  const line = Number(inFile?.[1]);
  if (inFile !== null) {
    assert.ok(line >= 1 && line <= ini.split("\n").length, `there is no line ${line}`);
  } else {
    const variable = Object.keys(environment).some((name) => message.includes(printable(name)));
    const flag = OPTION_NAMES.some((name) => message.includes(`flag ${OPTIONS[name].flag?.split(" ")[0]}`));
    assert.ok(variable || flag, `a fault names the variable or the flag: ${message}`);
  }
  const passwords = [environment["LEVERET_DEFAULT_PASSWORD"], /^default_password *= *(.*)$/m.exec(ini)?.[1]];
  if (passwords.some((password) => password === SECRET) && isOneSecret) {
    assert.ok(!message.includes(SECRET), `a fault tells no password: ${message}`);
  }
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function expectSettings(text: string): void {
  assert.equal(text.split("\n").length, OPTION_NAMES.length + 1, "one line per option is printed");
  const password = /^\[main\] default_password +(\S+)/m.exec(text);
  assert.equal(password?.[1], "********", "the password is not");
}

/** By way of a file, of the environment: as often as one likes. */
function expectSame({ values }: Settings): void {
  const environment: Record<string, string> = {};
  const bySection = new Map<string, string[]>();
  for (const name of OPTION_NAMES) {
    const { section, key, environment: variable } = OPTIONS[name];
    const text = `${values[name]}`;
    environment[variable] = text;
    // A file's values have no blanks around them.
    if (text.trim() === text) bySection.set(section, [...bySection.get(section) ?? [], `${key} = ${text}`]);
  }
  const ini = [...bySection].map(([section, lines]) => `[${section}]\n${lines.join("\n")}\n`).join("");
  const fromEnvironment = load("", { ...environment, [CONFIG_FILE_VARIABLE]: FILE }, {});
  assert.ok(!(fromEnvironment instanceof ConfigFault), `what was printed is read again: ${fromEnvironment}`);
  assert.deepEqual(fromEnvironment.values, values, "settings survive the environment");
  const fromFile = load(ini, { [CONFIG_FILE_VARIABLE]: FILE }, {});
  assert.ok(!(fromFile instanceof ConfigFault), `what was printed is read again: ${fromFile}`);
  for (const name of OPTION_NAMES) {
    if (`${values[name]}`.trim() === `${values[name]}`) assert.equal(fromFile.values[name], values[name], name);
  }
}

function pairs(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").filter((line) => line.includes("=")).map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

function flagsOf(text: string): Flags {
  const given: Partial<Record<OptionName, string | boolean>> = {};
  for (const [word, value] of Object.entries(pairs(text))) {
    const name = OPTION_NAMES.find((known) => OPTIONS[known].flag?.split(" ")[0] === word);
    if (name !== undefined) given[name] = OPTIONS[name].kind.isSwitch ? !word.startsWith("--no-") : value;
  }
  return given;
}

function file(random: FuzzRandom): string {
  const lines: string[] = [];
  for (let count = random.below(10); count > 0; count--) {
    switch (random.below(6)) {
      case 0:
        lines.push(random.pick(["[main]", "[amqp]", " [ main ] ", "[man]", "[]", "[a", "[__proto__]", "; [x]"]));
        break;
      case 1:
        lines.push(random.pick(["", "# c", "; c = d", "=", "= x", "key", "a = b", "\uFEFF[main]", "[main]\r"]));
        break;
      default: {
        const option = OPTIONS[random.pick(OPTION_NAMES)];
        const key = random.oneIn(9) ? near(option.key, random) : option.key;
        if (!random.oneIn(4)) lines.push(`[${option.section}]`);
        lines.push(`${key}${random.pick(["=", " = ", " =", "\t=\t"])}${value(option.kind.expects, random)}`);
      }
    }
  }
  return lines.join(random.oneIn(8) ? "\r\n" : "\n");
}

function environment(random: FuzzRandom): string {
  const lines: string[] = [];
  for (let count = random.below(4); count > 0; count--) {
    const option = OPTIONS[random.pick(OPTION_NAMES)];
    const variable = random.oneIn(12) ? near(option.environment, random) : option.environment;
    lines.push(`${variable}=${value(option.kind.expects, random)}`);
  }
  return lines.join("\n");
}

function flags(random: FuzzRandom): string {
  const lines: string[] = [];
  for (let count = random.below(3); count > 0; count--) {
    const option = OPTIONS[random.pick(OPTION_NAMES)];
    lines.push(`${option.flag?.split(" ")[0]}=${value(option.kind.expects, random)}`);
  }
  return lines.join("\n");
}

/** Something that fits, mostly: a fault ends the reading of all that follows. */
function value(expects: string, random: FuzzRandom): string {
  if (random.oneIn(5)) return random.pick(VALUES);
  const bounds = /from (-?[\d ]+(?:KiB|MiB|GiB)?) to ([\d ]+(?:KiB|MiB|GiB)?)/.exec(expects);
  if (bounds !== null) return random.pick([bounds[1]!, bounds[2]!]).trim();
  if (expects.startsWith("one of ")) return random.pick(expects.slice(7).split(", "));
  return expects === "true or false" ? random.pick(["true", "off"]) : random.pick(["x", "/data", "127.0.0.1", SECRET]);
}

function near(word: string, random: FuzzRandom): string {
  return DECODER.decode(mutate(ENCODER.encode(word), random));
}

const PARTS: readonly string[] = [
  ...["amqp:", "amqps:", "http:", "//", "/", "@", ":", "guest", SECRET, "localhost", "[::1]", "5672", "99999", "%2F"],
  ...["%", "%zz", "?", "heartbeat=", "frame_max=", "channel_max=", "&", "5", "4096", "0", "-1", "é", " ", "#", "\\"],
];

export const uris: FuzzTarget = {
  name: "uris",
  form: "text",
  share: 1,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(4)) return mutate(random.pick(corpus), random, corpus);
    const login = random.oneIn(2) ? `guest:${SECRET}@` : "";
    const parts = Array.from({ length: random.below(8) }, () => random.pick(PARTS));
    const input = ENCODER.encode(random.oneIn(3) ? parts.join("") : `amqp://${login}${parts.join("")}`);
    return random.oneIn(4) ? mutate(input, random, corpus) : input;
  },

  check(input) {
    const text = DECODER.decode(input);
    const isSecret = /^[a-z]+:\/\/guest:s3cr3t-Pa55word@/.test(text) && text.split(SECRET).length === 2;
    if (isSecret) assert.ok(!redactUri(text).includes(SECRET), "a URI is shown without its password");
    try {
      const { port, heartbeatS, frameBytesMax, channelMax } = parseAmqpUri(text);
      assert.ok(port >= 0 && port <= 65_535);
      assert.ok(heartbeatS === null || heartbeatS >= 0 && heartbeatS <= 65_535);
      assert.ok(frameBytesMax === null || frameBytesMax >= 4096 && frameBytesMax < 2 ** 32);
      assert.ok(channelMax === null || channelMax >= 1 && channelMax <= 65_535);
    } catch (error) {
      if (!(error instanceof AmqpUriFault)) throw error;
      if (isSecret) assert.ok(!error.message.includes(SECRET), `a fault tells no password: ${error.message}`);
    }
  },
};
