// What programs with HiveMQ's client rely on, MQTT 5. Arguments: key=value; prints one JSON object per line.

import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient;
import com.hivemq.client.mqtt.mqtt5.Mqtt5Client;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5Publish;
import com.hivemq.client.mqtt.mqtt5.message.connect.connack.Mqtt5ConnAck;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

public final class Main {
  private static final Map<String, String> OPTIONS = new HashMap<>();

  /** A client with its messages in a queue. */
  private static final class Client {
    final Mqtt5BlockingClient mqtt;
    final Mqtt5BlockingClient.Mqtt5Publishes messages;
    final Mqtt5ConnAck connAck;

    Client(String id, boolean clean, long expiry, String will) {
      var builder = Mqtt5Client.builder().identifier(id).serverHost("127.0.0.1")
          .serverPort(Integer.parseInt(OPTIONS.get("port")))
          .simpleAuth().username("guest").password("guest".getBytes(StandardCharsets.UTF_8)).applySimpleAuth();
      if (will != null) {
        builder = builder.willPublish().topic(will).payload(bytes("gone")).qos(MqttQos.AT_LEAST_ONCE).applyWillPublish();
      }
      mqtt = builder.buildBlocking();
      messages = mqtt.publishes(MqttGlobalPublishFilter.ALL);
      connAck = mqtt.connectWith().cleanStart(clean).sessionExpiryInterval(expiry).send();
    }

    void subscribe(String filter, int qos) {
      mqtt.subscribeWith().topicFilter(filter).qos(MqttQos.fromCode(qos)).send();
    }

    void publish(String topic, String payload, int qos, boolean retain) {
      mqtt.publishWith().topic(topic).payload(bytes(payload)).qos(MqttQos.fromCode(qos)).retain(retain).send();
    }

    Mqtt5Publish next() throws InterruptedException {
      return messages.receive(60, TimeUnit.SECONDS).orElseThrow(() -> new AssertionError("no message came"));
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(Mqtt5Publish message) {
    return new String(message.getPayloadAsBytes(), StandardCharsets.UTF_8);
  }

  private static void must(boolean condition, String what) {
    if (!condition) throw new AssertionError(what);
  }

  private static void check(String name) {
    System.out.println("{\"event\":\"check\",\"name\":\"" + name + "\"}");
  }

  private static void everyQos() throws Exception {
    var subscriber = new Client("java-sub", true, 0, null);
    subscriber.subscribe("java/qos", 2);
    var publisher = new Client("java-pub", true, 0, null);
    for (int qos = 0; qos <= 2; qos++) {
      for (int index = 0; index < 50; index++) publisher.publish("java/qos", "" + index, qos, false);
      for (int index = 0; index < 50; index++) {
        var message = subscriber.next();
        must(text(message).equals("" + index), "order");
        must(message.getQos().getCode() == qos, "qos");
      }
    }
    subscriber.mqtt.disconnect();
    publisher.mqtt.disconnect();
    check("every_qos 5.0");
  }

  private static void retained() throws Exception {
    var publisher = new Client("java-ret", true, 0, null);
    publisher.publish("java/retained", "kept", 1, true);
    var late = new Client("java-late", true, 0, null);
    late.subscribe("java/retained", 1);
    var message = late.next();
    must(message.isRetain() && text(message).equals("kept"), "retained");
    publisher.publish("java/retained", "", 1, true);
    publisher.mqtt.disconnect();
    late.mqtt.disconnect();
    check("retained 5.0");
  }

  private static void will() throws Exception {
    var watcher = new Client("java-watch", true, 0, null);
    watcher.subscribe("java/will", 1);
    new Client("java-dying", true, 0, "java/will");
    var taker = new Client("java-dying", true, 0, null);
    must(text(watcher.next()).equals("gone"), "will");
    taker.mqtt.disconnect();
    watcher.mqtt.disconnect();
    check("will 5.0");
  }

  private static void session() throws Exception {
    var first = new Client("java-session", false, 600, null);
    first.subscribe("java/session", 1);
    first.mqtt.disconnect();
    var publisher = new Client("java-pub2", true, 0, null);
    for (int index = 0; index < 20; index++) publisher.publish("java/session", "" + index, 1, false);
    var second = new Client("java-session", false, 600, null);
    must(second.connAck.isSessionPresent(), "the session is present");
    for (int index = 0; index < 20; index++) must(text(second.next()).equals("" + index), "order after a session");
    second.mqtt.disconnect();
    publisher.mqtt.disconnect();
    check("session 5.0");
  }

  private static void properties() throws Exception {
    var subscriber = new Client("java-5", true, 0, null);
    subscriber.subscribe("java/5", 1);
    var publisher = new Client("java-5pub", true, 0, null);
    publisher.mqtt.publishWith().topic("java/5").payload(bytes("x")).qos(MqttQos.AT_LEAST_ONCE)
        .contentType("text/plain").responseTopic("java/answer").correlationData(new byte[] {0, 1, -1})
        .messageExpiryInterval(100)
        .userProperties().add("a", "1").add("a", "2").applyUserProperties().send();
    var message = subscriber.next();
    must(message.getContentType().orElseThrow().toString().equals("text/plain"), "content type");
    must(message.getResponseTopic().orElseThrow().toString().equals("java/answer"), "response topic");
    var correlation = new byte[3];
    message.getCorrelationData().orElseThrow().get(correlation);
    must(Arrays.equals(correlation, new byte[] {0, 1, -1}), "correlation data");
    must(message.getUserProperties().asList().size() == 2, "user properties");
    must(message.getMessageExpiryInterval().orElseThrow() <= 100, "message expiry");
    subscriber.mqtt.disconnect();
    publisher.mqtt.disconnect();
    check("properties 5.0");
  }

  private static void before() throws Exception {
    var first = new Client("java-kill", false, 600, null);
    first.subscribe("java/kill/1", 1);
    first.subscribe("java/kill/2", 2);
    first.mqtt.disconnect();
    var publisher = new Client("java-killpub", true, 0, null);
    CompletableFuture<?>[] sent = new CompletableFuture<?>[200];
    for (int index = 0; index < 200; index++) {
      int qos = 1 + index % 2;
      sent[index] = publisher.mqtt.toAsync().publishWith().topic("java/kill/" + qos).payload(bytes("" + index))
          .qos(MqttQos.fromCode(qos)).send();
    }
    CompletableFuture.allOf(sent).get(60, TimeUnit.SECONDS);
    publisher.publish("java/kill/retained", "kept", 2, true);
    check("acknowledged");
  }

  private static void after() throws Exception {
    var second = new Client("java-kill", false, 600, null);
    must(second.connAck.isSessionPresent(), "the session is present");
    int[] got = new int[200];
    for (int index = 0; index < 200; index++) got[index] = Integer.parseInt(text(second.next()));
    Arrays.sort(got);
    for (int index = 0; index < 200; index++) must(got[index] == index, "all there");
    second.subscribe("java/kill/retained", 0);
    must(text(second.next()).equals("kept"), "retained");
    second.mqtt.disconnect();
    check("all there");
  }

  public static void main(String[] arguments) throws Exception {
    for (var argument : arguments) {
      var parts = argument.split("=", 2);
      OPTIONS.put(parts[0], parts[1]);
    }
    switch (OPTIONS.get("phase")) {
      case "core" -> {
        everyQos();
        retained();
        will();
        session();
        properties();
      }
      case "before" -> before();
      case "after" -> after();
      default -> throw new IllegalArgumentException(OPTIONS.get("phase"));
    }
    System.out.println("{\"event\":\"done\"}");
    System.exit(0);
  }
}
