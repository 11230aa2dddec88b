// Policies and operator policies, parameters, and the limits of virtual hosts.

import { z } from "@hono/zod-openapi";
import type { Json } from "../core/policies/json.ts";
import type { PolicyKind } from "../core/policies/policy.ts";
import { hasHidden, HIDDEN, hideSecrets } from "../lib/secret_text.ts";
import type { Caller } from "./access.ts";
import { created, noContent } from "./json.ts";
import { answerList, listQuery } from "./list.ts";
import { badRequest, notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import { limitBody, listAnswer, parameterAnswer, plainFields, policyAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";

/** Of lists and dictionaries within each other, in a parameter. */
const DEPTH_MAX = 100;
const PUT = [201, 204];
const json = z.unknown().refine((value) => value !== undefined, "expected a value").transform((value) => value as Json);

const policyBody = z.object({
  pattern: json,
  definition: json,
  priority: json.optional(),
  "apply-to": json.optional(),
}).openapi("PolicyRequest");
const valueBody = z.object({ value: json }).openapi("ParameterRequest");

export function addPolicies(router: Router, services: HttpServices): void {
  addPoliciesOf(router, services, "policy", "policies", "policymaker");
  addPoliciesOf(router, services, "operator-policy", "operator-policies", "administrator");
  addParameters(router, services);
  addGlobalParameters(router, services);
  addVhostLimits(router, services);
}

function addPoliciesOf(
  router: Router,
  { management }: HttpServices,
  kind: PolicyKind,
  path: "policies" | "operator-policies",
  access: "policymaker" | "administrator",
): void {
  const tag = "Policies";
  const what = kind === "policy" ? "policy" : "operator policy";
  // As with RabbitMQ, lists are for all who may enter the virtual hosts.
  const list = { tag, query: listQuery, answer: listAnswer(policyAnswer) } as const;
  const fields = plainFields(policyAnswer);
  const nameOf = ({ name }: { readonly name: string }) => name;
  router.add(
    "get",
    `/api/${path}`,
    { ...list, summary: `Every ${what}` },
    ({ query, caller }) => {
      const items = management.listPolicies(kind).filter(({ vhost }) => caller.sees(vhost));
      return answerList({ items, fields, context: null, nameOf, groupOf: ({ vhost }) => vhost }, query);
    },
  );
  router.add(
    "get",
    `/api/${path}/{vhost}`,
    { ...list, summary: `Every ${what} of a virtual host` },
    ({ params, query, caller }) => {
      const items = management.listPolicies(kind, caller.vhost(params.vhost).name);
      return answerList({ items, fields, context: null, nameOf }, query);
    },
  );
  router.add(
    "get",
    `/api/${path}/{vhost}/{name}`,
    { summary: `One ${what}`, tag, access, answer: policyAnswer },
    ({ params, caller }) => {
      const policy = management.getPolicy(kind, caller.vhost(params.vhost).name, params.name);
      if (policy === null) throw notFound();
      return policy;
    },
  );
  router.add(
    "put",
    `/api/${path}/{vhost}/{name}`,
    { summary: `Make or change a ${what}`, tag, access, body: policyBody, statuses: PUT },
    async ({ params, body, caller }) => {
      const { pattern, definition, priority, "apply-to": applyTo } = body;
      const request = {
        pattern,
        definition,
        ...(priority === undefined ? {} : { priority }),
        ...(applyTo === undefined ? {} : { applyTo }),
      };
      const { name } = caller.vhostToChange(params.vhost);
      return await management.putPolicy(kind, name, params.name, request) ? created() : noContent();
    },
  );
  router.add(
    "delete",
    `/api/${path}/{vhost}/{name}`,
    { summary: `Delete a ${what}`, tag, access },
    async ({ params, caller }) => {
      if (!await management.deletePolicy(kind, caller.vhost(params.vhost).name, params.name)) throw notFound();
    },
  );
}

function addParameters(router: Router, { management }: HttpServices): void {
  const tag = "Parameters";
  const access = "policymaker";
  const list = { tag, access, query: listQuery, answer: listAnswer(parameterAnswer) } as const;
  const fields = plainFields(parameterAnswer);
  const nameOf = ({ name }: { readonly name: string }) => name;
  router.add("get", "/api/parameters", { ...list, summary: "All parameters" }, ({ query, caller }) => {
    const items = management.listParameters().filter(({ vhost }) => caller.sees(vhost)).map(shownTo(caller));
    return answerList({ items, fields, context: null, nameOf }, query);
  });
  router.add(
    "get",
    "/api/parameters/{component}",
    { ...list, summary: "Parameters of a component" },
    ({ params, query, caller }) => {
      const items = management.listParameters().filter(({ vhost, component }) => {
        return component === params.component && caller.sees(vhost);
      }).map(shownTo(caller));
      return answerList({ items, fields, context: null, nameOf }, query);
    },
  );
  router.add(
    "get",
    "/api/parameters/{component}/{vhost}",
    { ...list, summary: "Parameters of a component in a virtual host" },
    ({ params, query, caller }) => {
      const all = management.listParameters(caller.vhost(params.vhost).name);
      const items = all.filter(({ component }) => component === params.component).map(shownTo(caller));
      return answerList({ items, fields, context: null, nameOf }, query);
    },
  );
  router.add(
    "get",
    "/api/parameters/{component}/{vhost}/{name}",
    { summary: "One parameter", tag, access, answer: parameterAnswer },
    ({ params, caller }) => {
      const parameter = management.getParameter(caller.vhost(params.vhost).name, params.component, params.name);
      if (parameter === null) throw notFound();
      return shownTo(caller)(parameter);
    },
  );
  router.add(
    "put",
    "/api/parameters/{component}/{vhost}/{name}",
    { summary: "Make or change a parameter", tag, access, body: valueBody, statuses: PUT },
    async ({ params, body, caller }) => {
      const { name: vhost } = caller.vhostToChange(params.vhost);
      expectMore(params.component, caller);
      expectWhole(body.value);
      const isNew = await management.putParameter(vhost, params.component, params.name, body.value);
      return isNew ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/parameters/{component}/{vhost}/{name}",
    { summary: "Delete a parameter", tag, access },
    async ({ params, caller }) => {
      const { name: vhost } = caller.vhost(params.vhost);
      expectMore(params.component, caller);
      if (!await management.deleteParameter(vhost, params.component, params.name)) throw notFound();
    },
  );
}

/**
 * Passwords in URIs (of shovels, federation) are administrators' own: whoever else may set a parameter sees them hidden. A
 * definitions file, which administrators alone read, has them.
 */
function shownTo(caller: Caller): <T extends { readonly value: Json }>(parameter: T) => T {
  if (caller.has("administrator")) return (parameter) => parameter;
  return (parameter) => ({ ...parameter, value: withTexts(parameter.value, hideSecrets) });
}

/** What was read with a hidden password and is written again would lose it; to fill it in would send it wherever one likes. */
function expectWhole(value: Json): void {
  withTexts(value, (text) => {
    if (hasHidden(text)) throw badRequest(`a password is hidden in the value (${HIDDEN}): it takes the whole URI`);
    return text;
  });
}

function withTexts(value: Json, change: (text: string) => string, depth = 0): Json {
  if (typeof value === "string") return change(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > DEPTH_MAX) throw badRequest(`value: more than ${DEPTH_MAX} levels deep`);
  if (Array.isArray(value)) return value.map((item: Json) => withTexts(item, change, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, withTexts(item, change, depth + 1)]));
}

/** What only administrators set by its own path, they alone set as a parameter. */
function expectMore(component: string, caller: { expect(access: "administrator"): void }): void {
  if (component === "vhost-limits" || component === "operator_policy") caller.expect("administrator");
}

function addGlobalParameters(router: Router, { management }: HttpServices): void {
  const tag = "Parameters";
  const access = "policymaker";
  const answer = z.object({ name: z.string(), value: json });
  router.add(
    "get",
    "/api/global-parameters",
    { summary: "Global parameters", tag, access, answer: z.array(answer) },
    ({ caller }) => management.listGlobalParameters().map(shownTo(caller)),
  );
  router.add(
    "get",
    "/api/global-parameters/{name}",
    { summary: "One global parameter", tag, access, answer },
    ({ params, caller }) => {
      const value = management.getGlobalParameter(params.name);
      if (value === undefined) throw notFound();
      return shownTo(caller)({ name: params.name, value });
    },
  );
  router.add(
    "put",
    "/api/global-parameters/{name}",
    { summary: "Make or change a global parameter", tag, access, body: valueBody, statuses: PUT },
    async ({ params, body }) => {
      expectWhole(body.value);
      return await management.putGlobalParameter(params.name, body.value) ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/global-parameters/{name}",
    { summary: "Delete a global parameter", tag, access },
    async ({ params }) => {
      if (!await management.deleteGlobalParameter(params.name)) throw notFound();
    },
  );
}

function addVhostLimits(router: Router, { management }: HttpServices): void {
  const tag = "Limits";
  const answer = z.array(z.object({ vhost: z.string(), value: z.record(z.string(), z.number()) }));
  router.add("get", "/api/vhost-limits", { summary: "Limits of all virtual hosts", tag, answer }, ({ caller }) => {
    const known = new Set(caller.knownVhosts.map(({ name }) => name));
    return management.listVhostLimits().filter(({ vhost }) => known.has(vhost));
  });
  router.add(
    "get",
    "/api/vhost-limits/{vhost}",
    { summary: "Limits of a virtual host", tag, answer },
    ({ params, caller }) => {
      const { name } = caller.knownVhost(params.vhost);
      return management.listVhostLimits().filter(({ vhost }) => vhost === name);
    },
  );
  const access = "administrator";
  router.add(
    "put",
    "/api/vhost-limits/{vhost}/{limit}",
    { summary: "Set a virtual host's limit", tag, access, body: limitBody },
    ({ params, body, caller }) => {
      caller.vhostToChange(params.vhost);
      return management.setVhostLimit(params.vhost, params.limit, body.value);
    },
  );
  router.add(
    "delete",
    "/api/vhost-limits/{vhost}/{limit}",
    { summary: "Take a virtual host's limit away", tag, access },
    ({ params }) => management.setVhostLimit(params.vhost, params.limit, null),
  );
}
