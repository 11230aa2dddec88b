// What all MQTT connections together have received and sent: plain counters, read by $SYS topics.

export class Traffic {
  bytesReceived = 0;
  bytesSent = 0;
  /** Packets of any type. */
  packetsReceived = 0;
  packetsSent = 0;
  publishReceived = 0;
  publishSent = 0;
  /** Deliveries that a client's socket, or its limits, did not take. */
  publishDropped = 0;
  publishBytesReceived = 0;
  publishBytesSent = 0;
  connections = 0;
  connectionsMax = 0;
  /** Connections that were ever accepted. */
  accepted = 0;
  sessionsExpired = 0;
}
