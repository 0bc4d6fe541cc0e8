package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"perch/pipeline"
)

const (
	maxData       = 1 << 20 // bytes of a frame's outputs that are kept
	maxErrors     = 16      // errors of a frame that are kept
	maxErrorBytes = 1000    // of each
)

// texts returns a result's outputs and errors as they are kept, both JSON,
// empty for none. Outputs beyond [maxData] are left out, which becomes one of
// the errors: the frame itself is worth keeping without them.
func texts(r *pipeline.Result) (data, faults string, err error) {
	said := r.Errors
	switch {
	case len(r.Data) > maxData:
		said = append(said[:len(said):len(said)], fmt.Sprintf("the workflow's outputs have %d bytes and were not kept, the most is %d", len(r.Data), maxData))
	case len(r.Data) > 0 && !json.Valid(r.Data):
		return "", "", errors.New("the workflow's outputs are not JSON")
	default:
		data = string(r.Data)
	}
	if len(said) == 0 {
		return data, "", nil
	}
	short := make([]string, 0, maxErrors)
	for _, text := range said[max(0, len(said)-maxErrors):] {
		short = append(short, clip(text, maxErrorBytes))
	}
	b, err := json.Marshal(short)
	return data, string(b), err
}

// clip cuts a text to so many bytes.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// orNull is NULL for an empty text.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
