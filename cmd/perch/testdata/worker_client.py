"""A client of the WebRTC worker protocol made of aiortc, as the published Python
client is, which shares no code with Perch.

Reads one JSON object on standard input:

    url       of the server
    request   the body of the start, without its offer
    video     direction of the video section: "sendrecv" sends aiortc's test
              picture, "recvonly", or "" for none
    upload    path of a file to upload, or null
    pairs     leave after so many pictures have met their results, or null to
              stay until the last message

and writes one on standard output: the messages without their images, the times
of the pictures that came and the number of bytes of the images in messages.
"""

import asyncio
import base64
import json
import struct
import sys
import urllib.error
import urllib.request

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack

TOLERANCE = 90  # ticks of 1/90000 s between a picture and its result
CHUNK = 49152


def post(url, body):
    request = urllib.request.Request(url + "/initialise_webrtc_worker", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=90) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"HTTP {error.code}: {error.read().decode()}")


class Client:
    def __init__(self, task):
        self.task = task
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.parts = {}
        self.messages, self.pictures, self.images = [], [], []
        self.done = asyncio.Event()
        self.watching = None

        @self.pc.on("track")
        def on_track(track):
            self.watching = asyncio.ensure_future(self.watch(track))

        results = self.pc.createDataChannel("inference")
        results.on("message", self.hear)
        self.uploads = None
        if task["upload"]:
            self.uploads = self.pc.createDataChannel("video_upload")
            self.uploads.on("open", lambda: asyncio.ensure_future(self.upload()))

    async def watch(self, track):
        while True:
            try:
                frame = await track.recv()
            except Exception:  # the track has ended
                return
            self.pictures.append(frame.pts)
            self.look()

    def hear(self, message):
        frame, index, total = struct.unpack("<III", message[:12])
        chunks = self.parts.setdefault(frame, {})
        chunks[index] = message[12:]
        if len(chunks) < total:
            return
        result = json.loads(b"".join(chunks[i] for i in range(total)).decode())
        del self.parts[frame]
        for value in (result["serialized_output_data"] or {}).values():
            if isinstance(value, dict) and value.get("type") == "base64":
                jpeg = base64.b64decode(value.pop("value"))
                if jpeg[:2] != b"\xff\xd8" or jpeg[-2:] != b"\xff\xd9":
                    sys.exit("an image is no JPEG")
                self.images.append(len(jpeg))
        self.messages.append(result)
        if result["processing_complete"]:
            self.done.set()
        self.look()

    def look(self):
        if self.task["pairs"] is None:
            return
        times = [m["video_metadata"]["pts"] for m in self.messages if m["video_metadata"]["pts"] is not None]
        met = sum(any(abs(p - t) <= TOLERANCE for t in times) for p in self.pictures)
        if met >= self.task["pairs"]:
            self.done.set()

    async def upload(self):
        with open(self.task["upload"], "rb") as file:
            data = file.read()
        count = (len(data) + CHUNK - 1) // CHUNK
        for index in range(count):
            self.uploads.send(struct.pack("<II", index, count) + data[index * CHUNK:(index + 1) * CHUNK])
            while self.uploads.bufferedAmount > 262144:
                await asyncio.sleep(0.001)

    async def run(self):
        video = self.task["video"]
        if video == "sendrecv":
            self.pc.addTransceiver(VideoStreamTrack(), direction=video)
        elif video:
            self.pc.addTransceiver("video", direction=video)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = {"type": self.pc.localDescription.type, "sdp": self.pc.localDescription.sdp}
        answer = await asyncio.get_event_loop().run_in_executor(None, post, self.task["url"], {**self.task["request"], "webrtc_offer": offer})
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp=answer["sdp"], type=answer["type"]))
        await self.done.wait()
        if self.watching and self.task["pairs"] is None:
            await self.settle()
        await self.pc.close()
        print(json.dumps({"messages": self.messages, "pictures": self.pictures, "images": self.images}))

    async def settle(self):
        """Waits up to ten seconds for pictures whose results came first; aiortc
        hands out each when the next begins, so never the last."""
        due = sum(not m["processing_complete"] for m in self.messages) - 1
        for _ in range(1000):
            if len(self.pictures) >= due:
                return
            await asyncio.sleep(0.01)


asyncio.run(Client(json.load(sys.stdin)).run())
