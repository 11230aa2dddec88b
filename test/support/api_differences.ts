// Where Leveret's answers differ from RabbitMQ's, whatever its release, by the end of a field's path. Each is in
// docs/management.md with a reason.

export const DIFFERENCES: readonly RegExp[] = [
  /\.message_stats\.disk_(reads|writes)(_details)?$/,
  /\.exchange_types\[\]\.internal_purpose$/,
  /\.metrics_gc_queue_length$/,
  /\.ra_open_file_metrics$/,
  /\.open_files$/,
  /\.messages_dlx$|\.message_bytes_dlx$/,
  /\.config_files\[\]$|\.auth_mechanisms|\.enabled_plugins$/,
  /\.idle_since$/,
  /^extensions\[\]$/,
];
