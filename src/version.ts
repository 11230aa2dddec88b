// Name and version of the product, from package.json: the one place where they stand.

import manifest from "../package.json" with { type: "json" };

export const NAME: string = manifest.name;
export const VERSION: string = manifest.version;
export const DESCRIPTION: string = manifest.description;
/** RabbitMQ's version whose formats and API ours follow. */
export const RABBITMQ_VERSION = "4.0.5";
