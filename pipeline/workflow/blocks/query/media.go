package query

import (
	"encoding/base64"
	"fmt"

	"perch/pipeline/workflow"
)

// base64Quality is the JPEG quality of images inside texts.
const base64Quality = 95

func image(v workflow.Value, what string) (*workflow.Image, error) {
	if img, ok := v.Image(); ok {
		return img, nil
	}
	return nil, fmt.Errorf("%s is given %s and needs an image", what, v.Describe())
}

func buildImageProperty(_ *compiler, n node) (op, error) {
	mode, err := n.word("property_name", []string{"size", "height", "width", "aspect_ratio"})
	if err != nil {
		return nil, err
	}
	return func(_ *state, v workflow.Value) (workflow.Value, error) {
		img, err := image(v, "ExtractImageProperty")
		if err != nil {
			return v, err
		}
		w, h := int64(img.Picture.Width), int64(img.Picture.Height)
		switch {
		case mode == 0:
			return workflow.IntOf(w * h), nil
		case mode == 1:
			return workflow.IntOf(h), nil
		case mode == 2:
			return workflow.IntOf(w), nil
		case h == 0:
			return workflow.IntOf(0), nil
		}
		return workflow.FloatOf(float64(w) / float64(h)), nil
	}, nil
}

func buildFrameMetadata(_ *compiler, n node) (op, error) {
	mode, err := n.word("property_name", []string{"frame_number", "frame_timestamp", "seconds_since_start"})
	if err != nil {
		return nil, err
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		if v.Type() != workflow.ImageType && v.Type() != workflow.MetadataType {
			return v, fmt.Errorf("ExtractFrameMetadata is given %s and needs an image", v.Describe())
		}
		f := st.host.Frame()
		switch {
		case mode == 0:
			return workflow.IntOf(f.Number), nil
		case mode == 1:
			return workflow.TimeOf(f.Time), nil
		case f.FromFile && f.FPS > 0:
			return workflow.FloatOf(float64(f.Number-1) / f.FPS), nil
		}
		// Of a camera only the frames that were worked on are counted, so their
		// number says nothing about time; nor does it in a file of unknown rate.
		return workflow.FloatOf(f.PTS.Seconds()), nil
	}, nil
}

func buildJPEG(_ *compiler, n node) (op, error) {
	quality, err := n.integerOr("compression_level", 95, 1, 100)
	if err != nil {
		return nil, err
	}
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		b, err := jpeg(st, v, "ConvertImageToJPEG", int(quality))
		return workflow.BytesOf(b), err
	}, nil
}

func buildBase64(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		b, err := jpeg(st, v, "ConvertImageToBase64", base64Quality)
		return workflow.StringOf(base64.StdEncoding.EncodeToString(b)), err
	}, nil
}

func jpeg(st *state, v workflow.Value, what string, quality int) ([]byte, error) {
	img, err := image(v, what)
	if err != nil {
		return nil, err
	}
	// Encoding costs about as much as going through this many values; it
	// bounds how many images one evaluation encodes.
	if err := st.spend(maxWork / 64); err != nil {
		return nil, err
	}
	b, err := st.host.Env().JPEG(img.Picture, quality)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return b, nil
}

// own writes coordinates of the image that things were found on.
func own() *workflow.Encoder { return &workflow.Encoder{Own: true} }

func buildToDictionary(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		text, err := dictionaryJSON(st, v)
		if err != nil {
			return v, err
		}
		o, err := workflow.ParseJSON(text)
		if err != nil {
			return v, fmt.Errorf("DetectionsToDictionary: %w", err)
		}
		return o, nil
	}, nil
}

func dictionaryJSON(st *state, v workflow.Value) ([]byte, error) {
	d, err := detections(v, "DetectionsToDictionary")
	if err != nil {
		return nil, err
	}
	text := own().AppendDetections(nil, d)
	return text, st.read(len(text))
}

func buildJSON(*compiler, node) (op, error) {
	return func(st *state, v workflow.Value) (workflow.Value, error) {
		if v.Type() != workflow.Object && v.Type() != workflow.ClassesType {
			return v, fmt.Errorf("ConvertDictionaryToJSON is given %s and needs an object", v.Describe())
		}
		b, err := own().Append(nil, v)
		if err != nil {
			return v, fmt.Errorf("ConvertDictionaryToJSON: %w", err)
		}
		return workflow.StringOf(string(b)), st.read(len(b))
	}, nil
}

// fuse makes one operation of DetectionsToDictionary and
// ConvertDictionaryToJSON after it: what the first makes is text that would be
// taken apart only to be put together again.
func fuse(defs []workflow.Value, ops []op) []op {
	var out []op
	for i := 0; i < len(ops); i++ {
		if i+1 < len(ops) && isType(defs[i], "DetectionsToDictionary") && isType(defs[i+1], "ConvertDictionaryToJSON") {
			out = append(out, func(st *state, v workflow.Value) (workflow.Value, error) {
				text, err := dictionaryJSON(st, v)
				return workflow.StringOf(string(text)), err
			})
			i++
			continue
		}
		out = append(out, ops[i])
	}
	return out
}

func isType(def workflow.Value, name string) bool {
	f, _ := def.Fields()
	v, _ := f.Get("type")
	s, _ := v.Str()
	return s == name
}
