package gst

// A codec is one of those that the platform table names. The order is that of
// the enum in glue.h.
type codec int

const (
	codecH264 codec = iota
	codecH265
	codecMPEG4
	codecMPEG2
	codecJPEG
	codecVP8
	codecVP9
	codecAV1
	numCodecs
	codecOther codec = -1
)

// job returns the name of the codec's line in the platform table.
func (c codec) job() string {
	return [...]string{"decode-h264", "decode-h265", "decode-mpeg4", "decode-mpeg2", "decode-jpeg", "decode-vp8", "decode-vp9", "decode-av1"}[c]
}

func (c codec) String() string {
	if c < 0 || c >= numCodecs {
		return ""
	}
	return [...]string{"H.264", "H.265", "MPEG-4", "MPEG-2", "JPEG", "VP8", "VP9", "AV1"}[c]
}
