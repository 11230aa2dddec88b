// The components whose parameters are something else here: limits of virtual hosts, and operator policies.

import { isJsonObject, type Json } from "../policies/json.ts";
import type { PolicyRequest } from "../policies/policy.ts";
import { Refusal } from "../refusal.ts";
import type { VirtualHost } from "../virtual_host.ts";
import { type ParameterShape, policyShape, vhostLimitsShape } from "./shapes.ts";

export const VHOST_LIMITS = "vhost-limits";
/** The one parameter of that component. */
export const LIMITS = "limits";
export const OPERATOR_POLICY = "operator_policy";

/** The value of an operator policy's parameter. */
export function policyOf(value: Json): PolicyRequest {
  if (!isJsonObject(value)) throw new Refusal("precondition-failed", "an operator policy is a dictionary");
  const { pattern, definition, priority, "apply-to": applyTo } = value;
  return { pattern, definition, priority, applyTo };
}

/** As RabbitMQ lists them: limits and operator policies are parameters, too. */
export function parametersOf({ name: vhost, parameters, limits, policies }: VirtualHost): ParameterShape[] {
  const shapes: ParameterShape[] = parameters.list().map((parameter) => ({ vhost, ...parameter }));
  const value = vhostLimitsShape(limits);
  if (Object.keys(value).length > 0) shapes.push({ vhost, component: VHOST_LIMITS, name: LIMITS, value });
  for (const policy of policies.list("operator-policy")) {
    const { vhost: _, name, ...rest } = policyShape(vhost, policy);
    shapes.push({ vhost, component: OPERATOR_POLICY, name, value: rest });
  }
  return shapes;
}
