package gst

import (
	"cmp"
	"fmt"
	"math"

	"perch/pipeline"
)

// An encoding says what an encoder is built for.
type encoding struct {
	codec         pipeline.Codec
	width, height int // of the pictures
	fps           float64
	bitrate       int  // bits per second; 0 takes one that suits the size
	file          bool // quality before delay
	fullRange     bool // what the encoder gets; pictures are converted to it
}

// The coded size is even for H.264, which has 4:2:0 chroma in whole samples
// only. The last column and row are repeated.
func (e encoding) coded() (width, height int) {
	if e.codec == pipeline.CodecH264 {
		return (e.width + 1) &^ 1, (e.height + 1) &^ 1
	}
	return e.width, e.height
}

// input is how pictures enter. Whatever range they come in, what is encoded is
// limited range: VP8 cannot say otherwise and players do not listen to H.264.
const input = "appsrc name=in format=time block=false max-buffers=0 max-bytes=0 ! videoconvert ! "

// leastBitrate is what a picture of any size is given: 80 by 80 samples would
// otherwise have a key frame of 1 KB.
const leastBitrate = 300_000

// launch returns the part of the pipeline from pictures to encoded units, and
// the settings of its encoder.
func (e encoding) launch(element string) (string, []setting) {
	bitrate := cmp.Or(e.bitrate, max(e.width*e.height*2, leastBitrate)) // 1.8 Mbit/s at 720p
	group := int(math.Ceil(cmp.Or(e.fps, 30) * 2))                      // a key frame at least every two seconds
	before, after := "", ""
	set := map[string]any{}
	switch element {
	case "x264enc":
		set = map[string]any{"bitrate": max(1, bitrate/1000), "key-int-max": group, "speed-preset": "superfast"}
		if e.file {
			// The quantizer decides; the bit rate is a limit, which key frames
			// of a small picture would meet.
			set["pass"], set["quantizer"], set["bitrate"] = "qual", 22, max(1, 4*bitrate/1000)
		} else {
			set["tune"], set["bframes"] = "zerolatency", 0
			after = " ! video/x-h264,profile=constrained-baseline"
		}
	case "openh264enc":
		set = map[string]any{"bitrate": bitrate, "gop-size": group, "complexity": "low", "rate-control": "bitrate"}
		after = " ! video/x-h264,profile=(string){constrained-baseline,baseline}"
	case "nvh264enc":
		set = map[string]any{"bitrate": max(1, bitrate/1000), "gop-size": group, "bframes": 0, "zerolatency": true, "preset": "low-latency-hq"}
		after = " ! video/x-h264,profile=(string){constrained-baseline,baseline,main}"
	case "nvv4l2h264enc":
		before = "nvvidconv ! video/x-raw(memory:NVMM),format=NV12 ! "
		set = map[string]any{"bitrate": bitrate, "iframeinterval": group, "idrinterval": group, "insert-sps-pps": true, "maxperf-enable": true, "profile": 0}
	case "vp8enc":
		set = map[string]any{"target-bitrate": bitrate, "keyframe-max-dist": group, "deadline": 1, "cpu-used": 8, "lag-in-frames": 0, "end-usage": "cbr", "threads": 2}
	}
	var settings []setting
	for _, k := range sortedKeys(set) {
		settings = append(settings, setting{"encoder", k, set[k]})
	}
	return input + before + element + " name=encoder" + after, settings
}

// inputCaps describes pic to the encoder's input.
func (e encoding) inputCaps(pic pipeline.Picture) string {
	w, h := e.coded()
	n, d := 0, 1
	if e.fps > 0 {
		n, d = fraction(e.fps)
	}
	return fmt.Sprintf("video/x-raw,format=%v,width=%d,height=%d,framerate=%d/%d,pixel-aspect-ratio=1/1,interlace-mode=progressive,colorimetry=%s", pic.Format, w, h, n, d, e.colorimetry(pic.Matrix))
}

// colorimetry writes range and matrix as GStreamer does: range:matrix:transfer:primaries.
func (e encoding) colorimetry(m pipeline.ColourMatrix) string {
	switch {
	case e.fullRange && m == pipeline.BT709:
		return "1:3:5:1"
	case e.fullRange:
		return "1:4:0:0"
	case m == pipeline.BT709:
		return "bt709"
	}
	return "bt601"
}
