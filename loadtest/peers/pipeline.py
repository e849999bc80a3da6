"""Face coding as a Python team would write it: OpenCV, NumPy and ONNX Runtime, one pass of each network.

The networks are the files of the npm package, unchanged. The steps are those of the worker without its second looks: digest,
decoding, detection, landmarks, alignment, embedding.
"""

import base64
import hashlib
import os
import pathlib

import cv2
import numpy as np
import onnxruntime

# Where the eyes, the nose and the corners of the mouth are in an aligned picture of 112 x 112 pixels (ArcFace's template).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
MIN_CONFIDENCE = 0.65
MAX_OVERLAP = 0.4


class FacePipeline:
    def __init__(self):
        folder = pathlib.Path(os.environ["PEER_MODELS"])
        options = onnxruntime.SessionOptions()
        # A process has one thread; there are as many processes as cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        cv2.setNumThreads(1)
        sessions = [
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("fr_detect.onnx", "fr_landmark.onnx", "fr_feature.onnx")
        ]
        self.networks = [(session, session.get_inputs()[0].name) for session in sessions]

    def code(self, picture):
        """Describes the face in a picture: `picture` is a JPEG or PNG, the answer has plain JSON types."""
        digest = hashlib.sha256(picture).hexdigest()
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
        if image is None:
            return {"error": "the picture cannot be decoded"}
        box = self.detect(image)
        if box is None:
            return {"error": "there is no face"}
        points = self.landmarks(image, box)
        embedding = self.embed(image, points)
        return {
            "digest": digest,
            "box": [float(side) for side in box],
            "landmarks": points.round(1).tolist(),
            "quality": float(np.linalg.norm(embedding)),
            "template": base64.b64encode((embedding / np.linalg.norm(embedding)).tobytes()).decode(),
        }

    def run(self, index, blob):
        session, name = self.networks[index]
        return session.run(None, {name: blob})

    def detect(self, image):
        blob = cv2.dnn.blobFromImage(image, 1 / 128, (320, 240), (127, 127, 127), swapRB=True)
        scores, boxes = self.run(0, blob)
        confidence = scores[0, :, 1]
        likely = confidence > MIN_CONFIDENCE
        if not likely.any():
            return None
        height, width = image.shape[:2]
        corners = boxes[0, likely] * [width, height, width, height]
        sizes = corners[:, 2:] - corners[:, :2]
        rectangles = np.hstack([corners[:, :2], sizes])
        kept = cv2.dnn.NMSBoxes(rectangles.tolist(), confidence[likely].tolist(), MIN_CONFIDENCE, MAX_OVERLAP)
        return corners[max(kept, key=lambda index: sizes[index].prod())]

    def landmarks(self, image, box):
        height, width = image.shape[:2]
        left, top, right, bottom = np.clip(box, 0, [width, height, width, height]).astype(int)
        grey = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
        crop = cv2.resize(grey, (64, 64)).astype(np.float32) / 256
        points = self.run(1, crop[None, None])[0].reshape(68, 2)
        points = points * [right - left, bottom - top] + [left, top]
        eyes = [points[[37, 38, 40, 41]].mean(0), points[[43, 44, 46, 47]].mean(0)]
        mouth = [points[[48, 60]].mean(0), points[[54, 64]].mean(0)]
        return np.array([*eyes, points[30], *mouth], np.float32)

    def embed(self, image, points):
        transform, _ = cv2.estimateAffinePartial2D(points, TEMPLATE, method=cv2.LMEDS)
        aligned = cv2.warpAffine(image, transform, (112, 112), flags=cv2.INTER_AREA)
        blob = cv2.dnn.blobFromImage(aligned, 1 / 128, (112, 112), (127, 127, 127), swapRB=False)
        return self.run(2, blob)[0][0]
