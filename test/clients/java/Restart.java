// A publisher and a consumer that live through restarts of the broker.

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AlreadyClosedException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.Delivery;
import java.io.IOException;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

final class Restart {
  private static final long RECONNECT_TIMEOUT_MS = 60_000;
  private static final int ACK_EVERY = 100;
  private static final int REPORT_EVERY = 200;

  private static Connection connect(Main options) throws Exception {
    long deadline = System.currentTimeMillis() + RECONNECT_TIMEOUT_MS;
    while (true) {
      try {
        return options.factory().newConnection();
      } catch (IOException | java.util.concurrent.TimeoutException error) {
        if (System.currentTimeMillis() > deadline) throw error;
        Thread.sleep(20);
      }
    }
  }

  /** What the confirm callbacks and the publishing thread share. */
  private static final class Progress {
    int confirmed;
    int next;
    int base; // the message whose delivery tag is 1
    boolean closed;
    boolean nacked;
    final TreeSet<Integer> unconfirmed = new TreeSet<>();

    synchronized void confirm(long tag, boolean multiple) {
      int index = base + (int) tag - 1;
      if (multiple) unconfirmed.headSet(index, true).clear();
      else unconfirmed.remove(index);
      int before = confirmed;
      confirmed = unconfirmed.isEmpty() ? next : unconfirmed.first();
      if (confirmed / REPORT_EVERY != before / REPORT_EVERY) report();
      notifyAll();
    }

    synchronized void report() {
      Main.report("\"event\":\"confirmed\",\"count\":" + confirmed);
    }

    synchronized void close() {
      closed = true;
      notifyAll();
    }
  }

  static void publish(Main options) throws Exception {
    Progress progress = new Progress();
    while (progress.confirmed < options.count) {
      Connection connection = connect(options);
      boolean published = false;
      try {
        published = publishUntilClosed(options, connection, progress);
      } catch (IOException | AlreadyClosedException error) {
        progress.close();
      }
      if (published) connection.close();
      else connection.abort(1_000);
      synchronized (progress) {
        if (progress.confirmed < options.count) {
          Main.report("\"event\":\"resumed\",\"from\":" + progress.confirmed + ",\"sent\":" + progress.next);
        }
      }
    }
    progress.report();
  }

  /** Publishes from the first unconfirmed message on; says whether all of it was confirmed. */
  private static boolean publishUntilClosed(Main options, Connection connection, Progress progress) throws Exception {
    Channel channel = connection.createChannel();
    channel.queueDeclare(options.queue, true, false, false, null);
    channel.confirmSelect();
    synchronized (progress) {
      progress.base = progress.next = progress.confirmed;
      progress.unconfirmed.clear();
      progress.closed = false;
    }
    channel.addConfirmListener(progress::confirm, (tag, multiple) -> {
      progress.nacked = true;
      progress.close();
    });
    connection.addShutdownListener(cause -> progress.close());
    while (true) {
      int index;
      synchronized (progress) {
        boolean full;
        while (true) {
          if (progress.nacked) Main.fail("a message was nacked");
          if (progress.confirmed == options.count) return true;
          if (progress.closed) return false;
          full = progress.next == options.count || progress.next - progress.confirmed >= options.outstanding;
          if (!full) break;
          progress.wait();
        }
        index = progress.next++;
        progress.unconfirmed.add(index);
      }
      AMQP.BasicProperties properties =
          new AMQP.BasicProperties.Builder().deliveryMode(2).messageId(Integer.toString(index)).build();
      channel.basicPublish("", options.queue, properties, options.body(index));
    }
  }

  /** Deliveries of ascending neighbours, reported as one. */
  private static final class Run {
    private final int session;
    private int first;
    private int count;
    private boolean redelivered;

    Run(int session) {
      this.session = session;
    }

    void add(int index, boolean again) {
      if (index != first + count || again != redelivered) {
        flush();
        first = index;
        redelivered = again;
      }
      count++;
    }

    void flush() {
      if (count > 0) {
        Main.report("\"event\":\"delivered\",\"first\":" + first + ",\"count\":" + count + ",\"redelivered\":"
            + redelivered + ",\"session\":" + session);
      }
      first += count;
      count = 0;
    }
  }

  static void drain(Main options) throws Exception {
    for (int session = 0;; session++) {
      Connection connection = connect(options);
      boolean emptied = drainUntilClosed(options, connection, session);
      if (emptied) {
        connection.close();
        return;
      }
      connection.abort(1_000);
    }
  }

  private static boolean drainUntilClosed(Main options, Connection connection, int session) throws Exception {
    BlockingQueue<Delivery> arrived = new LinkedBlockingQueue<>();
    Channel channel;
    try {
      channel = connection.createChannel();
      channel.basicQos(options.prefetch);
      channel.basicConsume(options.queue, false, (tag, delivery) -> arrived.add(delivery), tag -> {});
    } catch (IOException | AlreadyClosedException error) {
      return false;
    }
    Run run = new Run(session);
    int unacked = 0;
    while (true) {
      Delivery delivery = arrived.poll(20, TimeUnit.MILLISECONDS);
      if (delivery == null) {
        run.flush();
        if (!connection.isOpen() && arrived.isEmpty()) return false;
        continue;
      }
      int index = Integer.parseInt(delivery.getProperties().getMessageId());
      options.expectBody(index, delivery.getBody());
      run.add(index, delivery.getEnvelope().isRedeliver());
      unacked++;
      if (unacked < ACK_EVERY && index != options.count - 1) continue;
      unacked = 0;
      run.flush();
      try {
        channel.basicAck(delivery.getEnvelope().getDeliveryTag(), true);
        // The queue's last message is always the last one published, perhaps more than once.
        if (index == options.count - 1 && channel.messageCount(options.queue) == 0 && arrived.isEmpty()) return true;
      } catch (IOException | AlreadyClosedException error) {
        // The rest of what arrived counts as delivered, too.
      }
    }
  }
}
