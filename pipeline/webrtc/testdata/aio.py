"""A client of the WebRTC worker protocol made of aiortc.

Reads one JSON object per line on standard input and writes one per line on
standard output; see aiortc_test.go for what drives it.
"""

import asyncio
import json
import struct
import sys

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack


def out(**event):
    print(json.dumps(event), flush=True)


class Client:
    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels = {}
        self.tasks = []

        @self.pc.on("track")
        def on_track(track):
            out(event="track", kind=track.kind)
            self.tasks.append(asyncio.ensure_future(self.watch(track)))

        @self.pc.on("connectionstatechange")
        def on_state():
            out(event="state", state=self.pc.connectionState)

    async def watch(self, track):
        first = None
        while True:
            try:
                frame = await track.recv()
            except Exception:  # the track has ended
                return
            if first is None:
                first = frame.pts
            out(event="picture", pts=frame.pts - first, raw=frame.pts, width=frame.width, height=frame.height)

    def channel(self, label):
        channel = self.pc.createDataChannel(label)
        self.channels[label] = channel

        @channel.on("open")
        def on_open():
            out(event="open", label=label)

        @channel.on("message")
        def on_message(message):
            if label != "inference":
                if isinstance(message, str):
                    out(event="echo", text=message)
                else:
                    out(event="echo", hex=message.hex())
                return
            frame, index, total = struct.unpack("<III", message[:12])
            out(event="chunk", binary=isinstance(message, bytes), frame=frame, index=index, total=total,
                size=len(message) - 12, payload=message[12:].decode("latin-1"))

    async def offer(self, video, channels):
        if video in ("sendrecv", "sendonly"):
            self.pc.addTransceiver(VideoStreamTrack(), direction=video)
        elif video:
            self.pc.addTransceiver("video", direction=video)
        for label in channels:
            self.channel(label)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        out(event="offer", sdp=self.pc.localDescription.sdp, type=self.pc.localDescription.type)

    async def do(self, line):
        command = json.loads(line)
        name = command.pop("do")
        if name == "offer":
            await self.offer(command.get("video", ""), command["channels"])
        elif name == "answer":
            await self.pc.setRemoteDescription(RTCSessionDescription(sdp=command["sdp"], type="answer"))
        elif name == "text":
            self.channels[command["label"]].send(command["text"])
        elif name == "upload":
            with open(command["path"], "rb") as file:
                data = file.read()
            size = command["size"]
            count = (len(data) + size - 1) // size
            order = range(count)
            if command.get("reverse"):
                order = reversed(order)
            channel = self.channels["video_upload"]
            for index in order:
                channel.send(struct.pack("<II", index, count) + data[index * size:(index + 1) * size])
                while channel.bufferedAmount > 262144:
                    await asyncio.sleep(0.001)
        elif name == "bytes":
            self.channels[command["label"]].send(bytes.fromhex(command["hex"]))
        elif name == "close":
            await self.close()
            out(event="closed")

    async def close(self):
        await self.pc.close()
        for task in self.tasks:
            task.cancel()


async def main():
    client = Client()
    loop = asyncio.get_event_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            break
        await client.do(line)
        if client.pc.connectionState == "closed":
            client = Client()  # for the next session
    await client.close()


asyncio.run(main())
