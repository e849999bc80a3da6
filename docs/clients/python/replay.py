"""Has a device record a video, and prints whether a living person is in it: replay.py"""
import http.server, os
import httpx

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass

url, key = os.environ.get("FACELINE_URL", "http://127.0.0.1:8080"), os.environ.get("FACELINE_KEY", "demo")
receiver = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
client = httpx.Client(base_url=f"{url}/bioserver-app", headers={"apikey": key})
session = client.post("/v2/bio-sessions", json={"callbackURL": f"http://127.0.0.1:{receiver.server_port}/"}).raise_for_status().headers["location"]
begun = client.post(f"{session}/init-liveness-parameters", json={"type": "LIVENESS_PASSIVE_VIDEO"}).raise_for_status()
print(session.split("/")[-1], begun.headers["x-capture-token"], flush=True)  # for the device
receiver.handle_request()  # the callback, which only says that there is a result
print(client.get(f"/v3{session.removeprefix('/v2')}/replay-liveness-metadata").raise_for_status().json()["status"])
