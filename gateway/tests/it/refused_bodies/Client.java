import java.net.URI;
import java.net.Socket;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Sends the same body again and again, and prints what each try comes to: a status, or an error.
 * Client.java URL HTTP-VERSION TRIES FILE NAME:VALUE...
 * "Expect:100-continue" has the client wait until the server invites it to send the body.
 */
public class Client {
    static final class TrustAll extends X509ExtendedTrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type) {}
        public void checkServerTrusted(X509Certificate[] chain, String type) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
    }

    public static void main(String[] arguments) throws Exception {
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new TrustAll()}, null);
        var version = arguments[1].equals("2") ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1;
        for (int at = 0; at < Integer.parseInt(arguments[2]); at++) {
            try {
                var client = HttpClient.newBuilder().version(version).sslContext(tls).build();
                var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                    .timeout(Duration.ofSeconds(30))
                    .POST(HttpRequest.BodyPublishers.ofFile(Path.of(arguments[3])));
                for (int field = 4; field < arguments.length; field++) {
                    String[] pair = arguments[field].split(":", 2);
                    if (pair[0].equals("Expect")) {
                        request.expectContinue(true);
                    } else {
                        request.header(pair[0], pair[1]);
                    }
                }
                var answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
                if (answer.version() != version) {
                    System.out.println("error: answered over " + answer.version());
                } else {
                    System.out.println(answer.statusCode());
                }
            } catch (Exception error) {
                System.out.println("error: " + error);
            }
        }
        System.exit(0);
    }
}
