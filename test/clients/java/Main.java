// A program that tests a broker with the RabbitMQ Java client: takes key=value arguments, prints one JSON object per
// line.

import com.rabbitmq.client.ConnectionFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

final class Main {
  private static final int BODY_OFFSETS = 1024 * 1024;
  private static final int BODY_STRIDE = 7919;

  final String uri;
  final String queue;
  final int count;
  final int outstanding;
  final int prefetch;
  private final int[] sizes;
  private final int largeEvery;
  private final int largeBytes;
  private final byte[] pool;

  private Main(Map<String, String> values) throws Exception {
    uri = values.get("uri");
    queue = values.get("queue");
    count = Integer.parseInt(values.get("count"));
    outstanding = Integer.parseInt(values.get("outstanding"));
    prefetch = Integer.parseInt(values.get("prefetch"));
    sizes = Arrays.stream(values.get("sizes").split(",")).mapToInt(Integer::parseInt).toArray();
    largeEvery = Integer.parseInt(values.get("large_every"));
    largeBytes = Integer.parseInt(values.get("large_bytes"));
    pool = Files.readAllBytes(Path.of(values.get("pool")));
  }

  ConnectionFactory factory() throws Exception {
    ConnectionFactory factory = new ConnectionFactory();
    factory.setUri(uri);
    factory.setAutomaticRecoveryEnabled(false);
    return factory;
  }

  byte[] body(int index) {
    int size = index % largeEvery == largeEvery - 1 ? largeBytes : sizes[index % sizes.length];
    int offset = (int) ((long) index * BODY_STRIDE % BODY_OFFSETS);
    return Arrays.copyOfRange(pool, offset, offset + size);
  }

  void expectBody(int index, byte[] body) {
    if (!Arrays.equals(body(index), body)) {
      fail("message " + index + ": contents differ (" + body.length + " B)");
    }
  }

  static void report(String json) {
    System.out.println("{" + json + "}");
  }

  static void fail(String message) {
    System.err.println(message);
    System.exit(1);
  }

  static void expect(boolean condition, String message) {
    if (!condition) fail(message);
  }

  static void expectEqual(Object found, Object expected, String what) {
    if (!expected.equals(found)) fail(what + ": expected " + expected + ", found " + found);
  }

  public static void main(String[] arguments) {
    Map<String, String> values = new HashMap<>();
    for (String argument : arguments) {
      int at = argument.indexOf('=');
      values.put(argument.substring(0, at), argument.substring(at + 1));
    }
    try {
      Main options = new Main(values);
      switch (values.get("scenario")) {
        case "core" -> Core.run(options);
        case "patterns" -> Patterns.run(options);
        case "publish" -> Restart.publish(options);
        case "drain" -> Restart.drain(options);
        default -> fail("unknown scenario " + values.get("scenario"));
      }
      report("\"event\":\"done\"");
      System.exit(0);
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1);
    }
  }
}
