// Every cap of the broker: a name, a unit in the name, a reason. Settings that an operator may change stand in config/.

/** AMQP frame before the connection is open, bytes: nobody unknown makes us hold more (AMQP 4.2.3 asks for at least 4096). */
export const PRE_AUTH_FRAME_BYTES_MAX = 8 * 1024;
/** MQTT packet before the client is known, bytes: a CONNECT with its will. */
export const MQTT_CONNECT_BYTES_MAX = 64 * 1024;
/** Topics with a retained message, of one virtual host: each costs a few hundred bytes of memory. */
export const RETAINED_MAX = 1_000_000;
/** From accept to CONNECT, absolute: slow clients must not hold sockets. */
export const MQTT_CONNECT_MS_MAX = 10_000;
/** Names and addresses of failed logins that are remembered, entries of up to 600 bytes. */
export const LOGIN_FAILURES_MAX = 10_000;
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
/** The same while all connections together have very much to send. */
export const OUT_PENDING_BYTES_CROWDED = 128 * 1024;
/** Of one virtual host: at a few hundred bytes to a few KiB each, more than these would be an accident or an attack. */
export const QUEUES_MAX = 1_000_000;
export const EXCHANGES_MAX = 1_000_000;
export const BINDINGS_MAX = 5_000_000;
/** How long a consumer may hold a message where its queue does not say: RabbitMQ's 30 minutes. */
export const CONSUMER_TIMEOUT_MS = 30 * 60 * 1000;
/** Queues that hold files at a time, two or three each: systems allow 20,000 descriptors and 65,000 mappings, or more. */
export const WARM_QUEUES_MAX = 2_000;
/** Of one queue: each of them is asked in turn whether it takes a message. */
export const QUEUE_CONSUMERS_MAX = 65_536;
/**
 * Replies of one connection that wait for the disk; while there are more it is not read. What a client may ask for ahead
 * in good faith is far less; a closure each, they cost ten times what the requests did.
 */
export const REPLIES_WAITING_MAX = 8_192;
/** Consumers of one channel. */
export const CHANNEL_CONSUMERS_MAX = 65_536;
/**
 * What one connection has begun and not finished, bytes, all channels together: bodies that are not whole, and
 * transactions that are not committed. One message always fits.
 */
export const UNFINISHED_BODIES_BYTES_MAX = 64 * 1024 * 1024;
/** Segments of transient queues held in memory, bytes, all queues together; beyond it they are unlinked files. */
export const TRANSIENT_BYTES_IN_MEMORY_MAX = 32 * 1024 * 1024;
/** What a deduplicating exchange or queue remembers, entries of about 200 bytes. */
export const DEDUPLICATION_ENTRIES_MAX = 1_000_000;
/** The weight of one binding of a consistent hash exchange; each unit costs 1 KiB. */
export const HASH_WEIGHT_MAX = 1000;
/** Of all bindings of one such exchange together. */
export const HASH_WEIGHTS_MAX = 10_000;
/**
 * Direct replies that a client has not read, bytes: there is no queue for them to wait in, so beyond it they count as
 * undeliverable. Larger than what a client's own requests bring in while it does not read.
 */
export const DIRECT_REPLY_PENDING_BYTES_MAX = 4 * 1024 * 1024;
/** Tags of consumers whose place in a stream is remembered; beyond it that one goes which has not moved for longest. */
export const STREAM_OFFSETS_MAX = 65_536;
/** What the filter of one consumer of a stream asks for: each is compared with each message. */
export const STREAM_FILTER_VALUES_MAX = 256;
/** Connections to one HTTP listener: a browser holds six, a scraper one. */
export const HTTP_CONNECTIONS_MAX = 1_000;
/** The head of a request, bytes. */
export const HTTP_HEADER_BYTES_MAX = 16 * 1024;
/** From the first byte (or from accept) to the end of the head, absolute: slow heads must not hold sockets. */
export const HTTP_HEADERS_MS_MAX = 10_000;
/** The same to the end of the body. */
export const HTTP_REQUEST_MS_MAX = 60_000;
/** A connection without a request. */
export const HTTP_IDLE_MS_MAX = 60_000;
/** From accept to the end of the TLS handshake, absolute: who is nobody yet must not hold sockets. */
export const TLS_HANDSHAKE_MS_MAX = 5_000;
/** Queues that are followed over HTTP at a time: for each reader up to 1 MiB may wait. */
export const TAILS_MAX = 100;
/** A peer that takes nothing of its answer is cut off after it. */
export const HTTP_STALL_MS_MAX = 30_000;
/** A file of definitions: of a million queues, about. */
export const HTTP_DEFINITIONS_BYTES_MAX = 256 * 1024 * 1024;
/** The body of most requests; publishing and definitions have limits of their own. */
export const HTTP_BODY_BYTES_MAX = 1024 * 1024;
/** Of a broker: what administrators make, so only to keep an accident from filling the memory. */
export const USERS_MAX = 100_000;
export const VHOSTS_MAX = 10_000;
/** Of one virtual host: each new queue is held against each of them. */
export const POLICIES_MAX = 1_000;
/** Of one virtual host, or of all of them together. */
export const PARAMETERS_MAX = 10_000;
/** JSON of one parameter or policy, characters. */
export const PARAMETER_LENGTH_MAX = 1024 * 1024;
/** Exchanges for whose routing keys one user has a rule, in one virtual host. */
export const TOPIC_PERMISSIONS_MAX = 10_000;
