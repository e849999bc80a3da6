import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** What the examples share: requests, multipart bodies, which the JDK lacks, and as much of JSON as they read. */
class Faceline {
    private static final String URL = System.getenv().getOrDefault("FACELINE_URL", "http://127.0.0.1:8080");
    private static final String KEY = System.getenv().getOrDefault("FACELINE_KEY", "demo");
    // HTTP/1.1: the client would offer HTTP/2 by an upgrade, which needs a second exchange.
    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    static HttpResponse<String> call(String method, String path, String type, BodyPublisher body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(URL + "/bioserver-app" + path)).header("apikey", KEY).method(method, body);
        if (type != null) request.header("Content-Type", type);
        var answer = CLIENT.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() >= 300) throw new IllegalStateException(answer.statusCode() + " " + answer.body());
        return answer;
    }

    static HttpResponse<String> call(String method, String path) throws Exception {
        return call(method, path, null, BodyPublishers.noBody());
    }

    static HttpResponse<String> json(String path, String json) throws Exception {
        return call("POST", path, "application/json", BodyPublishers.ofString(json));
    }

    /** Fields are name, value, name, value; a value that begins with @ is the name of a file. */
    static HttpResponse<String> form(String path, String... fields) throws Exception {
        var boundary = "faceline-" + java.util.UUID.randomUUID();
        var body = new ByteArrayOutputStream();
        for (int at = 0; at < fields.length; at += 2) {
            boolean isFile = fields[at + 1].startsWith("@");
            body.write(("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + fields[at] + "\""
                + (isFile ? "; filename=\"" + fields[at] + "\"" : "") + "\r\n\r\n").getBytes());
            body.write(isFile ? Files.readAllBytes(Path.of(fields[at + 1].substring(1))) : fields[at + 1].getBytes());
            body.write("\r\n".getBytes());
        }
        body.write(("--" + boundary + "--\r\n").getBytes());
        return call("POST", path, "multipart/form-data; boundary=" + boundary, BodyPublishers.ofByteArray(body.toByteArray()));
    }

    /** The values of a member wherever it stands. Use a library for JSON in a program of your own. */
    static java.util.List<String> values(String json, String member) {
        var pattern = Pattern.compile('"' + member + "\"\\s*:\\s*\"?([^\",}]+)");
        return pattern.matcher(json).results().map(found -> found.group(1)).toList();
    }

    static String location(HttpResponse<?> answer) {
        return answer.headers().firstValue("Location").orElseThrow();
    }
}
