// Every cap of the broker: a name, a unit in the name, a reason. Settings that an operator may change stand in config/.

/** AMQP frame before the connection is open, bytes: nobody unknown makes us hold more (AMQP 4.2.3 asks for at least 4096). */
export const PRE_AUTH_FRAME_BYTES_MAX = 8 * 1024;
/** From accept to connection.open, absolute: slow handshakes must not hold sockets. */
export const HANDSHAKE_MS_MAX = 10_000;
/** A field table inside a field table inside ...: the decoder's own stack, and what RabbitMQ's clients ever use. */
export const TABLE_DEPTH_MAX = 16;
/** Fields of one table or array, entries: a table may not cost more memory than its bytes justify. */
export const TABLE_ENTRIES_MAX = 65_536;
/** A short string, bytes of UTF-8 (AMQP 4.2.5.3). */
export const SHORT_STRING_BYTES_MAX = 255;
/**
 * What a consumer that does not read its socket may hold in the broker, bytes; deliveries stop at it. One read of a
 * publisher (256 KiB) becomes about 400 KiB of deliveries of small messages while the last write is still under way: with
 * less, a consumer that keeps up would be passed over.
 */
export const OUT_PENDING_BYTES_MAX = 1024 * 1024;
/** Of one virtual host: at a few hundred bytes to a few KiB each, more than these would be an accident or an attack. */
export const QUEUES_MAX = 1_000_000;
export const EXCHANGES_MAX = 1_000_000;
export const BINDINGS_MAX = 5_000_000;
/** Consumers of one channel. */
export const CHANNEL_CONSUMERS_MAX = 65_536;
/** Bodies of one connection that have begun and are not whole, bytes, all channels together; one message always fits. */
export const UNFINISHED_BODIES_BYTES_MAX = 64 * 1024 * 1024;
/** Segments of transient queues held in memory, bytes, all queues together; beyond it they are unlinked files. */
export const TRANSIENT_BYTES_IN_MEMORY_MAX = 32 * 1024 * 1024;
