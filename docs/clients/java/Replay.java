import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.CountDownLatch;

/** Has a device record a video, and prints whether a living person is in it: Replay */
public class Replay {
    public static void main(String[] arguments) throws Exception {
        var called = new CountDownLatch(1);
        var receiver = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        receiver.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
            called.countDown(); // the callback only says that there is a result
        });
        receiver.start();
        var callback = "http://127.0.0.1:" + receiver.getAddress().getPort() + "/";
        var session = Faceline.location(Faceline.json("/v2/bio-sessions", "{\"callbackURL\":\"" + callback + "\"}"));
        var begun = Faceline.json(session + "/init-liveness-parameters", "{\"type\":\"LIVENESS_PASSIVE_VIDEO\"}");
        System.out.println(session.substring(session.lastIndexOf('/') + 1) + " "
            + begun.headers().firstValue("X-Capture-Token").orElseThrow()); // for the device
        called.await();
        var result = Faceline.call("GET", session.replace("/v2", "/v3") + "/replay-liveness-metadata").body();
        System.out.println(Faceline.values(result, "status").get(0));
        receiver.stop(0);
    }
}
