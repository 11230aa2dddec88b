// The common patterns of Java programs: requests and answers, shared work, news for all, retries, priorities.

import com.rabbitmq.client.AMQP.BasicProperties;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.MessageProperties;
import java.net.Socket;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicReference;

final class Patterns {
  private static final String REPLY_TO = "amq.rabbitmq.reply-to";
  private static final int REQUESTS = 5;
  private static final int TASKS = 6;
  private static final int ENTRIES = 50;

  static void run(Main options) throws Exception {
    Connection connection = options.factory().newConnection();
    Core.pass("requests are answered by direct reply-to", Patterns::rpc, options, connection);
    Core.pass("workers share tasks, and a lost worker's task is done by another", Patterns::work, options, connection);
    Core.pass("every subscriber of a fanout exchange gets the news", Patterns::subscribe, options, connection);
    Core.pass("topics lead to those who asked for them", Patterns::topics, options, connection);
    Core.pass("what failed is tried again later, through dead letters", Patterns::retry, options, connection);
    Core.pass("the more urgent comes first", Patterns::priorities, options, connection);
    Core.pass("headers lead to those who asked for them", Patterns::headers, options, connection);
    Core.pass("a full queue refuses with a nack", Patterns::overflow, options, connection);
    Core.pass("a stream is read again from its start, from an offset and from its end", Patterns::stream, options,
        connection);
    Core.pass("a transaction is committed or rolled back as a whole", Patterns::transactions, options, connection);
    connection.close();
  }

  private static List<String> texts(BlockingQueue<Delivery> arriving, int count) throws Exception {
    List<String> texts = new ArrayList<>();
    while (texts.size() < count) texts.add(new String(Core.next(arriving, "message " + texts.size()).getBody()));
    return texts;
  }

  private static void publish(Channel channel, String exchange, String key, String body) throws Exception {
    channel.basicPublish(exchange, key, null, body.getBytes());
  }

  private static String temporaryQueue(Channel channel, Map<String, Object> arguments) throws Exception {
    return channel.queueDeclare("", false, true, false, arguments).getQueue();
  }

  private static String exchange(Channel channel, String name, String type) throws Exception {
    channel.exchangeDeclare(name, type, false, true, null);
    return name;
  }

  /** What waits in the queue, taken. */
  private static List<String> routed(Channel channel, String queue) throws Exception {
    int count = (int) channel.messageCount(queue);
    return texts(Core.consume(channel, queue, true), count);
  }

  private static void rpc(Main options, Connection connection) throws Exception {
    String requests = options.queue + " requests";
    Connection serving = options.factory().newConnection();
    Channel server = serving.createChannel();
    server.queueDeclare(requests, false, false, true, null);
    server.basicQos(1);
    server.basicConsume(requests, false, (tag, request) -> {
      BasicProperties asked = request.getProperties();
      byte[] answer = (new String(request.getBody()) + " pong").getBytes();
      server.basicPublish("", asked.getReplyTo(), asked.builder().replyTo(null).build(), answer);
      server.basicAck(request.getEnvelope().getDeliveryTag(), false);
    }, tag -> {});
    Channel channel = connection.createChannel();
    BlockingQueue<Delivery> arriving = Core.consume(channel, REPLY_TO, true);
    BasicProperties.Builder asking = new BasicProperties.Builder().replyTo(REPLY_TO);
    for (int index = 0; index < REQUESTS; index++) {
      BasicProperties properties = asking.correlationId("id " + index).build();
      channel.basicPublish("", requests, properties, properties.getCorrelationId().getBytes());
    }
    Set<String> answered = new HashSet<>();
    while (answered.size() < REQUESTS) {
      Delivery answer = Core.next(arriving, "answer");
      answered.add(answer.getProperties().getCorrelationId());
      Main.expectEqual(new String(answer.getBody()), answer.getProperties().getCorrelationId() + " pong", "answer");
    }
    channel.close();
    serving.close();
  }

  private static void work(Main options, Connection connection) throws Exception {
    String queue = options.queue + " tasks";
    Channel channel = connection.createChannel();
    channel.confirmSelect();
    channel.queueDeclare(queue, true, false, false, null);
    for (int index = 0; index < TASKS; index++) {
      channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, Integer.toString(index).getBytes());
    }
    channel.waitForConfirmsOrDie(Core.ANSWER_TIMEOUT_MS);
    AtomicReference<Socket> socket = new AtomicReference<>();
    ConnectionFactory factory = options.factory();
    factory.setSocketConfigurator(socket::set);
    Channel doomed = factory.newConnection().createChannel();
    doomed.basicQos(1);
    Main.expectEqual(texts(Core.consume(doomed, queue, false), 1), List.of("0"), "task that will be lost");
    Connection steady = options.factory().newConnection();
    Channel worker = steady.createChannel();
    worker.basicQos(1);
    BlockingQueue<Delivery> arriving = Core.consume(worker, queue, false);
    List<String> done = new ArrayList<>();
    while (done.size() < TASKS) {
      Delivery task = Core.next(arriving, "task");
      done.add(new String(task.getBody()) + (task.getEnvelope().isRedeliver() ? " again" : ""));
      if (done.size() == 1) {
        Main.expectEqual(done, List.of("1"), "second worker's task");
        Main.expectEqual(channel.messageCount(queue), TASKS - 2L, "tasks left");
        socket.get().close();
      }
      worker.basicAck(task.getEnvelope().getDeliveryTag(), false);
    }
    Main.expectEqual(done.stream().sorted().toList(), List.of("0 again", "1", "2", "3", "4", "5"), "tasks done");
    steady.close();
    Main.expectEqual(channel.queueDelete(queue).getMessageCount(), 0, "tasks left");
    channel.close();
  }

  private static void subscribe(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String exchange = exchange(channel, options.queue + " news", "fanout");
    List<BlockingQueue<Delivery>> subscribers = new ArrayList<>();
    for (int index = 0; index < 2; index++) {
      Channel subscriber = connection.createChannel();
      String queue = temporaryQueue(subscriber, Map.of());
      subscriber.queueBind(queue, exchange, "");
      subscribers.add(Core.consume(subscriber, queue, true));
    }
    for (String text : List.of("a", "b", "c")) publish(channel, exchange, "", text);
    for (var arriving : subscribers) Main.expectEqual(texts(arriving, 3), List.of("a", "b", "c"), "news");
    channel.close();
  }

  private static void topics(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String exchange = exchange(channel, options.queue + " animals", "topic");
    String orange = temporaryQueue(channel, Map.of()), other = temporaryQueue(channel, Map.of());
    channel.queueBind(orange, exchange, "*.orange.*");
    channel.queueBind(other, exchange, "*.*.rabbit");
    channel.queueBind(other, exchange, "lazy.#");
    List<String> keys = List.of("an.orange.rabbit", "lazy.orange.fox", "lazy.pink", "lazy", "a.red.fox", "orange");
    for (String key : keys) publish(channel, exchange, key, key);
    Main.expectEqual(routed(channel, orange), keys.subList(0, 2), "orange ones");
    Main.expectEqual(routed(channel, other), keys.subList(0, 4), "rabbits and lazy ones");
    channel.close();
  }

  /** The entries of x-death as "queue, reason, count". */
  private static List<String> deaths(Delivery delivery) {
    Map<String, Object> headers = delivery.getProperties().getHeaders();
    if (headers == null) return List.of();
    return ((List<?>) headers.get("x-death")).stream().map(entry -> (Map<?, ?>) entry)
        .map(death -> death.get("queue") + ", " + death.get("reason") + ", " + death.get("count")).toList();
  }

  private static void retry(Main options, Connection connection) throws Exception {
    String queue = options.queue + " tried", waiting = queue + " later";
    Channel channel = connection.createChannel();
    channel.queueDeclare(queue, true, false, false,
        Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", waiting));
    channel.queueDeclare(waiting, true, false, false,
        Map.of("x-message-ttl", 100, "x-dead-letter-exchange", "", "x-dead-letter-routing-key", queue));
    publish(channel, "", queue, "task");
    BlockingQueue<Delivery> arriving = Core.consume(channel, queue, false);
    Delivery task = Core.next(arriving, "first attempt");
    Main.expectEqual(deaths(task), List.of(), "x-death at first");
    for (int failed = 1; failed <= 2; failed++) {
      channel.basicReject(task.getEnvelope().getDeliveryTag(), false);
      task = Core.next(arriving, "attempt");
      Main.expectEqual(new String(task.getBody()), "task", "body");
      List<String> expected = List.of(waiting + ", expired, " + failed, queue + ", rejected, " + failed);
      Main.expectEqual(deaths(task), expected, "x-death");
    }
    channel.basicAck(task.getEnvelope().getDeliveryTag(), false);
    Map<String, Object> headers = task.getProperties().getHeaders();
    String first = headers.get("x-first-death-queue") + ", " + headers.get("x-first-death-reason");
    Main.expectEqual(first, queue + ", rejected", "first death");
    int left = channel.queueDelete(queue).getMessageCount() + channel.queueDelete(waiting).getMessageCount();
    Main.expectEqual(left, 0, "messages left");
    channel.close();
  }

  private static void priorities(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel, Map.of("x-max-priority", 10));
    for (Integer priority : new Integer[] {1, null, 9, 5, 200}) {
      byte[] body = String.valueOf(priority).getBytes();
      channel.basicPublish("", queue, new BasicProperties.Builder().priority(priority).build(), body);
    }
    Main.expectEqual(routed(channel, queue), List.of("200", "9", "5", "1", "null"), "by priority");
    channel.close();
  }

  private static void headers(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String exchange = exchange(channel, options.queue + " documents", "headers");
    String both = temporaryQueue(channel, Map.of()), either = temporaryQueue(channel, Map.of());
    channel.queueBind(both, exchange, "", Map.of("x-match", "all", "format", "pdf", "type", "report"));
    channel.queueBind(either, exchange, "", Map.of("x-match", "any", "format", "pdf", "type", "log"));
    for (String kind : List.of("pdf report", "pdf log", "zip report", "zip log")) {
      String[] words = kind.split(" ");
      Map<String, Object> headers = Map.of("format", words[0], "type", words[1]);
      channel.basicPublish(exchange, "", new BasicProperties.Builder().headers(headers).build(), kind.getBytes());
    }
    Main.expectEqual(routed(channel, both), List.of("pdf report"), "where both match");
    Main.expectEqual(routed(channel, either), List.of("pdf report", "pdf log", "zip log"), "where one matches");
    channel.close();
  }

  private static void overflow(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel, Map.of("x-max-length", 2, "x-overflow", "reject-publish"));
    channel.confirmSelect();
    List<String> refused = new ArrayList<>();
    for (String text : List.of("a", "b", "c", "take", "d", "e")) {
      if (text.equals("take")) channel.basicGet(queue, true);
      else publish(channel, "", queue, text);
      if (!channel.waitForConfirms(Core.ANSWER_TIMEOUT_MS)) refused.add(text);
    }
    Main.expectEqual(refused, List.of("c", "e"), "refused messages");
    Main.expectEqual(routed(channel, queue), List.of("b", "d"), "accepted messages");
    channel.close();
  }

  private static void stream(Main options, Connection connection) throws Exception {
    String queue = options.queue + " log";
    Channel channel = connection.createChannel();
    channel.confirmSelect();
    channel.queueDeclare(queue, true, false, false, Map.of("x-queue-type", "stream"));
    for (int index = 0; index < ENTRIES; index++) publish(channel, "", queue, Integer.toString(index));
    channel.waitForConfirmsOrDie(Core.ANSWER_TIMEOUT_MS);
    for (Object start : List.of("first", 40, "next")) {
      Channel reader = connection.createChannel();
      reader.basicQos(10);
      BlockingQueue<Delivery> arriving = new LinkedBlockingQueue<>();
      Map<String, Object> arguments = Map.of("x-stream-offset", start);
      reader.basicConsume(queue, false, arguments, (tag, entry) -> arriving.add(entry), tag -> {});
      boolean waits = start.equals("next");
      if (waits) publish(channel, "", queue, Integer.toString(ENTRIES));
      long end = waits ? ENTRIES + 1 : ENTRIES;
      for (long offset = waits ? ENTRIES : start.equals("first") ? 0 : 40; offset < end; offset++) {
        Delivery entry = Core.next(arriving, "entry " + offset + " from " + start);
        Main.expectEqual(entry.getProperties().getHeaders().get("x-stream-offset"), offset, "offset");
        Main.expectEqual(new String(entry.getBody()), Long.toString(offset), "entry");
        reader.basicAck(entry.getEnvelope().getDeliveryTag(), false);
      }
      reader.close();
    }
    channel.queueDelete(queue);
    channel.close();
  }

  private static void transactions(Main options, Connection connection) throws Exception {
    Channel channel = connection.createChannel();
    String queue = temporaryQueue(channel, Map.of());
    channel.txSelect();
    publish(channel, "", queue, "forgotten");
    channel.txRollback();
    publish(channel, "", queue, "kept");
    Main.expectEqual(channel.messageCount(queue), 0L, "messages before the commit");
    channel.txCommit();
    Delivery kept = Core.next(Core.consume(channel, queue, false), "committed message");
    Main.expectEqual(new String(kept.getBody()), "kept", "committed message");
    channel.basicAck(kept.getEnvelope().getDeliveryTag(), false);
    channel.txCommit();
    channel.close();
    Main.expectEqual(connection.createChannel().queueDelete(queue).getMessageCount(), 0, "messages left");
  }
}
