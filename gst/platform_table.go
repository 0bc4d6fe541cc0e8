package gst

import "strings"

// The packages that bring elements: Debian's, and those of NVIDIA's Jetson
// archive.
const (
	pkgGood   = "gstreamer1.0-plugins-good"
	pkgBad    = "gstreamer1.0-plugins-bad"
	pkgUgly   = "gstreamer1.0-plugins-ugly"
	pkgBase   = "gstreamer1.0-plugins-base"
	pkgLibav  = "gstreamer1.0-libav"
	pkgJetson = "nvidia-l4t-gstreamer"
	pkgCSI    = "nvidia-l4t-camera"
)

// jobCSI and its like name lines of the table that code asks for.
const (
	jobCSI        = "csi-camera"
	jobEncodeH264 = "encode-h264"
	jobEncodeVP8  = "encode-vp8"
	jobEncodeJPEG = "encode-jpeg"
)

// platformTable is the one place that names hardware elements. The best
// candidate of each job comes first.
func platformTable(name string) (*platform, bool) {
	p := &platform{name: name}
	var decode func(codec) []candidate
	var encode []candidate
	var csi []candidate
	switch name {
	case jetson:
		p.downloadFeature, p.download, p.scales = "memory:NVMM", "nvvidconv name=scaler ! capsfilter name=size caps=video/x-raw,format=NV12", true
		decode = decodeJetson
		// Orin Nano has the element and no encoder behind it.
		encode = []candidate{{element: "nvv4l2h264enc", pkg: pkgJetson, hardware: true, devices: []string{"/dev/v4l2-nvenc", "/dev/nvhost-msenc"}}}
		csi = []candidate{{element: "nvarguscamerasrc", pkg: pkgCSI, hardware: true}}
	case nvidia:
		p.downloadFeature, p.download = "memory:CUDAMemory", "cudadownload ! video/x-raw,format=NV12"
		decode = decodeNVIDIA
		// Data centre cards decode and do not encode.
		encode = []candidate{{element: "nvh264enc", pkg: pkgBad, hardware: true, optional: true}}
	case software, rehearsal:
		decode = func(codec) []candidate { return nil }
		if name == rehearsal {
			p.downloadFeature, p.download, p.scales = "memory:SystemMemory", "videoscale name=scaler ! capsfilter name=size caps=video/x-raw", true
		}
	default:
		return nil, false
	}
	for c := codec(0); c < numCodecs; c++ {
		p.jobs = append(p.jobs, job{key: c.job(), candidates: append(decode(c), decodeSoftware(c)...)})
	}
	p.jobs = append(p.jobs,
		job{key: jobEncodeH264, candidates: append(encode, candidate{element: "x264enc", pkg: pkgUgly}, candidate{element: "openh264enc", pkg: pkgBad})},
		job{key: jobEncodeVP8, candidates: []candidate{{element: "vp8enc", pkg: pkgGood}}},
		job{key: jobEncodeJPEG, candidates: []candidate{{element: "jpegenc", pkg: pkgGood}}},
	)
	if csi != nil {
		p.jobs = append(p.jobs, job{key: jobCSI, candidates: csi})
	}
	for _, e := range []string{"rtspsrc", "souphttpsrc", "multipartdemux", "v4l2src", "qtdemux", "matroskademux", "avidemux", "tsdemux", "mpegpsdemux", "h264parse", "videoflip", "mp4mux", "matroskamux"} {
		p.jobs = append(p.jobs, job{key: e, candidates: []candidate{{element: e, pkg: packageOf(e)}}})
	}
	return p, true
}

func decodeJetson(c codec) []candidate {
	switch c {
	case codecJPEG:
		return []candidate{{element: "nvjpegdec", pkg: pkgJetson, hardware: true}}
	case codecMPEG4, codecMPEG2, codecAV1: // not on every board
		return []candidate{{element: "nvv4l2decoder", pkg: pkgJetson, hardware: true, optional: true}}
	}
	return []candidate{{element: "nvv4l2decoder", pkg: pkgJetson, hardware: true}}
}

func decodeNVIDIA(c codec) []candidate {
	names := [...]string{"nvh264dec", "nvh265dec", "nvmpeg4videodec", "nvmpegvideodec", "nvjpegdec", "nvvp8dec", "nvvp9dec", "nvav1dec"}
	// Which of these exist depends on the card; the two that every card has
	// are the ones worth complaining about.
	return []candidate{{element: names[c], pkg: pkgBad, hardware: true, optional: c != codecH264 && c != codecH265}}
}

func decodeSoftware(c codec) []candidate {
	av := func(name string) candidate { return candidate{element: "avdec_" + name, pkg: pkgLibav} }
	switch c {
	case codecH264:
		return []candidate{av("h264"), {element: "openh264dec", pkg: pkgBad}}
	case codecH265:
		return []candidate{av("h265"), {element: "libde265dec", pkg: pkgBad}}
	case codecMPEG4:
		return []candidate{av("mpeg4")}
	case codecMPEG2:
		return []candidate{av("mpeg2video"), {element: "mpeg2dec", pkg: pkgUgly}}
	case codecJPEG:
		return []candidate{{element: "jpegdec", pkg: pkgGood}, av("mjpeg")}
	case codecVP8:
		return []candidate{{element: "vp8dec", pkg: pkgGood}, av("vp8")}
	case codecVP9:
		return []candidate{{element: "vp9dec", pkg: pkgGood}, av("vp9")}
	}
	return []candidate{{element: "dav1ddec", pkg: "gstreamer1.0-plugins-rs", optional: true}, {element: "av1dec", pkg: pkgBad}, av("av1")}
}

// packageOf returns the package that brings an element, or "".
func packageOf(element string) string {
	switch element {
	case "rtspsrc", "souphttpsrc", "multipartdemux", "v4l2src", "qtdemux", "matroskademux", "avidemux", "videoflip", "mp4mux", "matroskamux", "webmmux", "jpegdec", "jpegenc", "vp8dec", "vp8enc", "vp9dec":
		return pkgGood
	case "tsdemux", "mpegpsdemux", "h264parse", "h265parse", "openh264dec", "openh264enc", "libde265dec", "av1dec":
		return pkgBad
	case "x264enc", "mpeg2dec":
		return pkgUgly
	case "videoconvert", "decodebin", "appsink", "appsrc", "videotestsrc":
		return pkgBase
	}
	switch {
	case strings.HasPrefix(element, "avdec_"):
		return pkgLibav
	case strings.HasPrefix(element, "nvv4l2"), element == "nvvidconv":
		return pkgJetson
	}
	return ""
}

// installHint says what to type to get element; "" when it is not known.
func installHint(element string) string {
	if p := packageOf(element); p != "" {
		return "install it with: apt install " + p
	}
	return ""
}
