package workflow

import "slices"

// A Kind says what a value means. Kinds are those of the specification; a
// selector fits a field if they share one.
type Kind string

// The kinds that blocks here use.
const (
	Any              Kind = "*" // fits everything
	ImageKind        Kind = "image"
	VideoMetadata    Kind = "video_metadata"
	ObjectDetections Kind = "object_detection_prediction"
	InstanceMasks    Kind = "instance_segmentation_prediction"
	KeypointsKind    Kind = "keypoint_detection_prediction"
	Classification   Kind = "classification_prediction"
	StringKind       Kind = "string"
	IntegerKind      Kind = "integer"
	FloatKind        Kind = "float"
	FractionKind     Kind = "float_zero_to_one"
	BooleanKind      Kind = "boolean"
	ListKind         Kind = "list_of_values"
	DictionaryKind   Kind = "dictionary"
	ZoneKind         Kind = "zone"
	ColourKind       Kind = "rgb_color"
	BytesKind        Kind = "bytes"
	TimestampKind    Kind = "timestamp"
	ModelKind        Kind = "roboflow_model_id"
	PointKind        Kind = "point"
	SecretKind       Kind = "secret"
)

// Kinds that often go together.
var (
	anyDetections = []Kind{ObjectDetections, InstanceMasks, KeypointsKind}
	numbers       = []Kind{FloatKind, IntegerKind, FractionKind}
)

// AnyDetections are the kinds of detections.
func AnyDetections() []Kind { return slices.Clone(anyDetections) }

// Numbers are the kinds of numbers.
func Numbers() []Kind { return slices.Clone(numbers) }

// Anything fits every selector.
func Anything() []Kind { return []Kind{Any} }

// fits reports whether a value of one of the kinds have may be what one of the
// kinds want asks for.
func fits(have, want []Kind) bool {
	if len(have) == 0 || slices.Contains(have, Any) || slices.Contains(want, Any) {
		return true
	}
	for _, h := range have {
		if slices.Contains(want, h) || isNumber(h) && slices.ContainsFunc(want, isNumber) {
			return true
		}
	}
	return false
}

func isNumber(k Kind) bool { return slices.Contains(numbers, k) }
