// The library's door: a broker inside a program.

export { Broker, type BrokerHooks, type Listening, type LiveConfig } from "./broker.ts";
export type { AmqpConfig, Config, PartialConfig } from "./config/config.ts";
export type { Damage, DamageList } from "./store/damage_list.ts";
export { ConfigFault } from "./config/fault.ts";
export type { Management, UserRequest, VhostRequest } from "./core/management/management.ts";
export { Refusal, type RefusalReason } from "./core/refusal.ts";
