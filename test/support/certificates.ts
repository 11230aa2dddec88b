// Certificates for tests, made by openssl as they are needed: each signs itself, so it is also what its client trusts.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { type Agent, request } from "node:https";
import { join } from "node:path";
import { temporaryDirectory } from "./broker_process.ts";
import type { Answer, RequestOptions } from "./http_api.ts";

/** Why there are none; false when there are. */
export const noCertificates: string | false = spawnSync("openssl", ["version"]).status === 0
  ? false
  : "openssl not found";
if (noCertificates !== false) console.warn(`${noCertificates}: tests of HTTPS skipped`);

export interface Certificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  /** PEM. */
  readonly certificate: string;
}

let made = 0;

/** For localhost and 127.0.0.1, for so many days from now on. */
export function makeCertificate({ days = 30, directory = temporaryDirectory() } = {}): Certificate {
  const name = `made${++made}`;
  const certificatePath = join(directory, `${name}.crt`);
  const keyPath = join(directory, `${name}.key`);
  openssl(
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", `${days}`],
    ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
    ...["-keyout", keyPath, "-out", certificatePath],
  );
  return { certificatePath, keyPath, certificate: readFileSync(certificatePath, "utf8") };
}

export function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

export interface SecureOptions extends RequestOptions {
  readonly agent?: Agent;
}

/** One request over HTTPS, to a broker that has `trusted`; rejects when it has another one. */
export function askSecurely(
  port: number,
  trusted: Certificate,
  method: string,
  path: string,
  { body, as = "guest:guest", headers = {}, agent }: SecureOptions = {},
): Promise<Answer> {
  const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const asked = request({
      host: "127.0.0.1",
      port,
      ca: trusted.certificate,
      agent: agent ?? false,
      method,
      path: path.startsWith("/") ? path : `/api/${path}`,
      headers: {
        ...(as === null ? {} : { authorization: `Basic ${btoa(as)}` }),
        ...(text === undefined ? {} : { "content-length": `${Buffer.byteLength(text)}` }),
        ...headers,
      },
    }, (answer) => {
      const parts: Uint8Array[] = [];
      answer.on("data", (part: Uint8Array) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        const text = Buffer.concat(parts).toString("utf8");
        const fields = Object.entries(answer.headers).map(([name, value]) => [name, `${value}`] as [string, string]);
        resolve({
          status: answer.statusCode ?? 0,
          headers: new Headers(fields),
          text,
          get json() {
            return JSON.parse(text);
          },
        });
      });
    });
    asked.on("error", reject);
    asked.end(text);
  });
}
