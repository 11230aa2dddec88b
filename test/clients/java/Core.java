// What a Java program relies on: publish, confirm, consume, properties, settlement, returns and errors.

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.Return;
import com.rabbitmq.client.ShutdownSignalException;
import java.math.BigDecimal;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

final class Core {
  static final long ANSWER_TIMEOUT_MS = 30_000;

  interface Check {
    void run(Main options, Connection connection) throws Exception;
  }

  static void run(Main options) throws Exception {
    Connection connection = options.factory().newConnection();
    pass("bodies of every size arrive in order and byte-identical", Core::bodies, options, connection);
    pass("all properties and header types round-trip", Core::properties, options, connection);
    pass("a rejected message comes back flagged redelivered", Core::settlement, options, connection);
    pass("an unroutable mandatory message is returned and confirmed", Core::mandatory, options, connection);
    pass("get takes one message and tells an empty queue", Core::get, options, connection);
    pass("errors close the channel with the right code, not the connection", Core::failures, options, connection);
    pass("an exclusive queue is locked to its connection", Core::exclusive, options, connection);
    pass("prefetch limits what is outstanding", Core::prefetch, options, connection);
    pass("topic routing follows the pattern", Core::topics, options, connection);
    connection.close();
  }

  static void pass(String name, Check check, Main options, Connection connection) throws Exception {
    check.run(options, connection);
    Main.report("\"event\":\"check\",\"name\":\"" + name + "\"");
  }

  static <T> T next(BlockingQueue<T> arrived, String what) throws Exception {
    T item = arrived.poll(ANSWER_TIMEOUT_MS, TimeUnit.MILLISECONDS);
    Main.expect(item != null, what + ": nothing came");
    return item;
  }

  static BlockingQueue<Delivery> consume(Channel channel, String queue, boolean autoAck) throws Exception {
    BlockingQueue<Delivery> arrived = new LinkedBlockingQueue<>();
    channel.basicConsume(queue, autoAck, (tag, delivery) -> arrived.add(delivery), tag -> {});
    return arrived;
  }

  private static String temporaryQueue(Channel channel) throws Exception {
    return channel.queueDeclare().getQueue();
  }

  private static void send(Channel channel, String queue, String body) throws Exception {
    channel.basicPublish("", queue, null, body.getBytes());
  }

  private static void bodies(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    channel.queueDeclare(options.queue, true, false, false, null);
    channel.confirmSelect();
    for (int index = 0; index < options.count; index++) {
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder().deliveryMode(2).messageId(Integer.toString(index)).build();
      channel.basicPublish("", options.queue, true, properties, options.body(index));
    }
    channel.waitForConfirmsOrDie(ANSWER_TIMEOUT_MS);
    BlockingQueue<Delivery> arrived = consume(channel, options.queue, false);
    for (int index = 0; index < options.count; index++) {
      Delivery delivery = next(arrived, "message " + index);
      Main.expectEqual(delivery.getProperties().getMessageId(), Integer.toString(index), "order");
      options.expectBody(index, delivery.getBody());
      channel.basicAck(delivery.getEnvelope().getDeliveryTag(), false);
    }
    channel.queueDelete(options.queue);
    channel.close();
  }

  private static void properties(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel);
    Date moment = new Date(1_700_000_000_000L);
    Map<String, Object> headers = new HashMap<>();
    headers.put("bool", true);
    headers.put("byte", (byte) -8);
    headers.put("short", (short) -16000);
    headers.put("int", Integer.MIN_VALUE);
    headers.put("long", Long.MIN_VALUE);
    headers.put("float", 1.5f);
    headers.put("double", 2.25);
    headers.put("string", "h\u00e4der");
    headers.put("bytes", new byte[] {0, 1, -1});
    headers.put("time", moment);
    headers.put("null", null);
    headers.put("decimal", new BigDecimal("123.45"));
    headers.put("array", List.of(1, "two", Map.of("three", 3L), List.of(true, false)));
    headers.put("table", Map.of("deep", Map.of("deeper", Map.of("deepest", "yes"))));
    AMQP.BasicProperties sent = new AMQP.BasicProperties("text/plain", "identity", headers, 2, 7, "correlation", "reply",
        "3600000", "message", moment, "type", "guest", "application", "cluster");
    channel.basicPublish("", queue, sent, "body".getBytes());
    Delivery delivery = next(consume(channel, queue, true), "properties");
    AMQP.BasicProperties got = delivery.getProperties();
    Main.expectEqual(new String(delivery.getBody()), "body", "body");
    Main.expectEqual(plain(got.getHeaders()), plain(headers), "headers");
    AMQP.BasicProperties bareGot = got.builder().headers(null).build();
    AMQP.BasicProperties bareSent = sent.builder().headers(null).build();
    Main.expectEqual(bareGot, bareSent, "properties");
    Main.expectEqual(got.getClusterId(), "cluster", "cluster id");
    channel.close();
  }

  /** Long strings as strings and byte arrays as lists, so that equality compares contents. */
  private static Object plain(Object value) {
    if (value instanceof LongString text) return text.toString();
    if (value instanceof byte[] bytes) return java.util.Arrays.toString(bytes);
    if (value instanceof List<?> list) return list.stream().map(Core::plain).toList();
    if (!(value instanceof Map<?, ?> map)) return value;
    Map<Object, Object> result = new HashMap<>();
    map.forEach((key, element) -> result.put(key, plain(element)));
    return result;
  }

  private static void settlement(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel);
    send(channel, queue, "one");
    send(channel, queue, "two");
    BlockingQueue<Delivery> arrived = consume(channel, queue, false);
    Delivery first = next(arrived, "one");
    Delivery second = next(arrived, "two");
    Main.expect(!first.getEnvelope().isRedeliver(), "a first delivery is flagged redelivered");
    channel.basicNack(second.getEnvelope().getDeliveryTag(), false, false);
    channel.basicReject(first.getEnvelope().getDeliveryTag(), true);
    Delivery again = next(arrived, "one again");
    Main.expect(again.getEnvelope().isRedeliver(), "a requeued message is not flagged redelivered");
    Main.expectEqual(new String(again.getBody()), "one", "the rejected message");
    channel.basicAck(again.getEnvelope().getDeliveryTag(), true);
    AMQP.Queue.DeclareOk state = channel.queueDeclarePassive(queue);
    Main.expectEqual(state.getMessageCount(), 0, "messages left");
    Main.expectEqual(state.getConsumerCount(), 1, "consumers");
    channel.close();
  }

  private static void mandatory(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    channel.confirmSelect();
    BlockingQueue<Return> returns = new LinkedBlockingQueue<>();
    channel.addReturnListener(returns::add);
    channel.basicPublish("", "no such queue", true, null, "back".getBytes());
    channel.waitForConfirmsOrDie(ANSWER_TIMEOUT_MS);
    Return returned = next(returns, "return");
    Main.expectEqual(returned.getReplyCode(), AMQP.NO_ROUTE, "reply code");
    Main.expectEqual(new String(returned.getBody()), "back", "returned body");
    channel.close();
  }

  private static void get(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel);
    send(channel, queue, "one");
    send(channel, queue, "two");
    GetResponse response = channel.basicGet(queue, false);
    Main.expectEqual(new String(response.getBody()), "one", "get-ok");
    Main.expectEqual(response.getMessageCount(), 1, "messages behind it");
    channel.basicAck(response.getEnvelope().getDeliveryTag(), false);
    Main.expectEqual(channel.queuePurge(queue).getMessageCount(), 1, "purged messages");
    Main.expect(channel.basicGet(queue, true) == null, "get of an empty queue gave a message");
    channel.close();
  }

  private interface Act {
    void run() throws Exception;
  }

  private static void expectCode(int code, String what, Channel channel, Act act) throws Exception {
    CompletableFuture<ShutdownSignalException> closed = new CompletableFuture<>();
    channel.addShutdownListener(closed::complete);
    try {
      act.run();
    } catch (java.io.IOException | AlreadyClosedException expected) {
      // The reason is what the shutdown listener gets.
    }
    ShutdownSignalException cause = closed.get(ANSWER_TIMEOUT_MS, TimeUnit.MILLISECONDS);
    Main.expect(!cause.isHardError(), what + ": the connection was closed: " + cause.getMessage());
    Main.expectEqual(((AMQP.Channel.Close) cause.getReason()).getReplyCode(), code, what);
  }

  private static void failures(Main options, Connection connection) throws Exception {
    Channel passive = connection.createChannel();
    expectCode(AMQP.NOT_FOUND, "passive declare", passive, () -> passive.queueDeclarePassive("no such queue"));
    Channel publishing = connection.createChannel();
    expectCode(AMQP.NOT_FOUND, "publish to a missing exchange", publishing,
        () -> publishing.basicPublish("no such exchange", "", null, new byte[0]));
    Channel declaring = connection.createChannel();
    String queue = "redeclared by the Java client";
    declaring.queueDeclare(queue, false, true, false, null);
    expectCode(AMQP.PRECONDITION_FAILED, "redeclare", declaring,
        () -> declaring.queueDeclare(queue, false, true, true, null));
    Channel acking = connection.createChannel();
    expectCode(AMQP.PRECONDITION_FAILED, "unknown delivery tag", acking, () -> acking.basicAck(42, false));
    Main.expect(connection.isOpen(), "a channel error closed the connection");
  }

  private static void exclusive(Main options, Connection connection) throws Exception {
    String queue = temporaryQueue(connection.createChannel());
    Connection other = options.factory().newConnection();
    Channel channel = other.createChannel();
    expectCode(AMQP.RESOURCE_LOCKED, "exclusive queue", channel, () -> channel.queueDeclarePassive(queue));
    other.close();
  }

  private static void prefetch(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel);
    for (int index = 0; index < 3; index++) send(channel, queue, Integer.toString(index));
    channel.basicQos(2);
    BlockingQueue<Delivery> arrived = consume(channel, queue, false);
    Delivery first = next(arrived, "first of two");
    next(arrived, "second of two");
    Main.expectEqual(channel.messageCount(queue), 1L, "messages held back");
    Main.expect(arrived.isEmpty(), "prefetch 2 was exceeded");
    channel.basicAck(first.getEnvelope().getDeliveryTag(), false);
    Main.expectEqual(new String(next(arrived, "third").getBody()), "2", "order");
    channel.close();
  }

  private static void topics(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel);
    channel.queueBind(queue, "amq.topic", "*.orange.#");
    for (String key : List.of("quick.orange.rabbit", "lazy.brown", "lazy.orange", "orange")) {
      channel.basicPublish("amq.topic", key, null, new byte[0]);
    }
    BlockingQueue<Delivery> arrived = consume(channel, queue, true);
    for (String key : List.of("quick.orange.rabbit", "lazy.orange")) {
      Main.expectEqual(next(arrived, key).getEnvelope().getRoutingKey(), key, "routed key");
    }
    channel.queueUnbind(queue, "amq.topic", "*.orange.#");
    channel.close();
  }
}
