import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Api, at } from "./api.ts";
import { CtlFault } from "./fault.ts";
import { placeOfUri } from "./place.ts";

type Answer = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

async function withServer(answer: Answer, act: (uri: string) => Promise<void>): Promise<void> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await act(`http://ann:secret@127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const apiOf = (uri: string, timeoutMs = 60_000) => new Api(placeOfUri(uri), timeoutMs);

/** A check of what is thrown. */
function fault(exitCode: number, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CtlFault, String(error));
    assert.equal(error.exitCode, exitCode);
    assert.match(error.message, text);
    assert.ok(!error.message.includes("secret"));
    return true;
  };
}

test("names are encoded into a path, and those that would change it are refused", () => {
  assert.equal(at`queues/${"/"}/${"a b?#%\n"}/contents`.text, "queues/%2F/a%20b%3F%23%25%0A/contents");
  for (const name of ["", ".", "..", "\ud800"]) assert.throws(() => at`queues/${name}`, fault(2, /name/));
});

test("a request brings name, password, path, query and body", async () => {
  const seen: unknown[] = [];
  await withServer((incoming, outgoing) => {
    let body = "";
    incoming.on("data", (part) => body += part);
    incoming.on("end", () => {
      seen.push([incoming.method, incoming.url, incoming.headers.authorization, body]);
      outgoing.end("[1]");
    });
  }, async (uri) => {
    assert.deepEqual(await apiOf(`${uri}/pre`).get(at`queues/${"/"}`, "queues", { columns: "a,b" }), [1]);
    await apiOf(uri).put(at`users/${"ü"}`, "user", { tags: "" });
  });
  const login = `Basic ${btoa("ann:secret")}`;
  assert.deepEqual(seen, [
    ["GET", "/pre/api/queues/%2F?columns=a%2Cb", login, ""],
    ["PUT", "/api/users/%C3%BC", login, '{"tags":""}'],
  ]);
});

test("what is refused names the thing and the reason", async () => {
  const answers: [number, string, RegExp][] = [
    [404, '{"error":"Object Not Found","reason":"Not Found"}', /^queue 'a': not found$/],
    [404, "{\"reason\":\"NOT_FOUND - no queue 'a' in vhost '/'\"}", /^queue 'a': not found$/],
    [404, '{"reason":"vhost_not_found"}', /^queue 'a': not found$/],
    [404, '{"reason":"no exchange"}', /^queue 'a': no exchange$/],
    [400, '{"reason":"why not"}', /^queue 'a': why not$/],
    [401, '{"reason":"Login failed"}', /refuses user 'ann' or its password$/],
    [401, '{"reason":"Not administrator user"}', /^queue 'a': user 'ann' may not: Not administrator user$/],
    [502, "<html>", /^queue 'a': the broker answered 502$/],
  ];
  for (const [status, body, text] of answers) {
    await withServer((_, outgoing) => void outgoing.writeHead(status).end(body), async (uri) => {
      await assert.rejects(apiOf(uri).get(at`queues/${"a"}`, "queue 'a'"), fault(1, text));
    });
  }
});

test("a broker that does not answer, answers nothing or half an answer is not reachable", async () => {
  await withServer(() => {}, async (uri) => {
    await assert.rejects(apiOf(uri, 50).get(at`queues`, "queues"), fault(69, /silent for 0\.05 s$/));
  });
  await withServer((incoming) => incoming.socket.destroy(), async (uri) => {
    await assert.rejects(
      apiOf(uri).get(at`queues`, "queues"),
      fault(69, /^no answer from http:\/\/127\.0\.0\.1:\d+: /),
    );
  });
  await withServer((incoming, outgoing) => {
    outgoing.writeHead(200, { "content-length": "10" }).write("[1,", () => incoming.socket.destroy());
  }, async (uri) => {
    await assert.rejects(apiOf(uri).get(at`queues`, "queues"), fault(69, /no answer/));
  });
});
