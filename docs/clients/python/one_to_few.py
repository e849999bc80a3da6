"""Compares a picture's face with those of others, the best match first: one_to_few.py REFERENCE CANDIDATE..."""
import os, sys
import httpx

url, key = os.environ.get("FACELINE_URL", "http://127.0.0.1:8080"), os.environ.get("FACELINE_KEY", "demo")
with httpx.Client(base_url=f"{url}/bioserver-app", headers={"apikey": key}, timeout=60) as client:
    session = client.post("/v2/bio-sessions").raise_for_status().headers["location"]
    def add(path):
        with open(path, "rb") as image:
            face = client.post(f"{session}/faces", data={"imageType": "SELFIE", "friendlyName": path}, files={"image": image})
        return face.raise_for_status().headers["location"]
    reference, *_ = [add(path) for path in sys.argv[1:]]
    for match in client.get(f"{reference}/matches").raise_for_status().json():
        print(match["score"], match["candidate"]["friendlyName"])
    client.delete(session)
