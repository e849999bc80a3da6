"""Compares the faces of two pictures: one_to_one.py REFERENCE CANDIDATE"""
import os, sys
import httpx

url, key = os.environ.get("FACELINE_URL", "http://127.0.0.1:8080"), os.environ.get("FACELINE_KEY", "demo")
with open(sys.argv[1], "rb") as reference, open(sys.argv[2], "rb") as candidate:
    answer = httpx.post(
        f"{url}/bioserver-app/v2/match/images", headers={"apikey": key}, timeout=60,
        data={"referenceImageType": "SELFIE", "candidateImageType": "SELFIE"},
        files={"referenceImage": reference, "candidateImage": candidate})
match = answer.raise_for_status().json()
print(match["score"], match["falseAcceptanceRate"])
