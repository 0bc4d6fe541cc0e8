package query

import (
	"math/bits"
	"strings"
)

// kinds is a set of kinds of values, as far as they are known before a run.
type kinds uint16

const (
	kDetections kinds = 1 << iota
	kDetection        // one detection, inside a filter
	kList
	kObject
	kText
	kNumber
	kBool
	kNull
	kImage
	kBytes
	kTime
	kClasses
	kMetadata
	kAny      = 1<<iota - 1
	kSequence = kDetections | kDetection | kList | kObject | kText | kBytes
	kScalar   = kNumber | kBool | kText
	kDet      = kDetections | kDetection
)

var kindNames = [...]string{
	"detections", "a detection", "a list", "an object", "a string", "a number", "a boolean", "null", "an image", "bytes", "a time",
	"a classification", "video metadata",
}

func (k kinds) String() string {
	if k == kAny {
		return "anything"
	}
	var all []string
	for ; k != 0; k &= k - 1 {
		all = append(all, kindNames[bits.TrailingZeros16(uint16(k))])
	}
	return strings.Join(all, " or ")
}

// entry is one operation of the language.
type entry struct {
	name    string
	doc     string
	in, out kinds
	build   func(c *compiler, n node) (op, error)
}

// table lists the operations. It is a function because operations contain
// operations.
func table() []entry {
	return []entry{
		{"DetectionsPropertyExtract", "a property of each detection, as a list; property_name", kDet, kList, buildExtractAll},
		{"DetectionsFilter", "only those detections for which a condition holds; filter_operation is a StatementGroup in which the operand _ is the detection", kDet, kDetections, buildFilter},
		{"DetectionsSelection", "one of the detections, by mode: left_most, right_most, top_confidence, first, last", kDet, kDetections, buildSelection},
		{"SortDetections", "the detections in the order of a property, by mode: confidence, x_min, x_max, y_min, y_max, size, center_x, center_y; ascending=true", kDet, kDetections, buildSort},
		{"DetectionsOffset", "boxes wider by offset_x and higher by offset_y pixels, around the same centre", kDet, kDetections, buildOffset},
		{"DetectionsShift", "boxes moved right by shift_x and down by shift_y pixels; masks and key points stay", kDet, kDetections, buildShift},
		{"DetectionsRename", "other class names, by class_map (an object, or the name of a parameter); strict=true fails on a class that is not in it; class ids are counted by name, or, when not strict, from new_classes_id_offset=1024 for new names", kDet, kDetections, buildRename},
		{"DetectionsToDictionary", "the detections as an object, in the form in which outputs are sent, with coordinates of their own image", kDet, kObject, buildToDictionary},
		{"PickDetectionsByParentClass", "the detections of parent_class, and the others whose centre lies in the box of one of them", kDet, kDetections, buildPick},
		{"ExtractDetectionProperty", "a property of one detection; property_name", kDet, kAny &^ kDetections, buildExtractOne},
		{"ClassificationPropertyExtract", "of a classification: top_class, top_class_confidence, top_class_confidence_single, all_classes, all_confidences", kClasses, kText | kNumber | kList, buildClassification},
		{"SequenceLength", "the number of elements, or letters", kSequence, kNumber, buildLength},
		{"SequenceElementsCount", "how often each element occurs, as an object", kSequence, kObject, buildCount},
		{"SequenceAggregate", "one element of a list, by mode: first, last, most_common, least_common", kSequence, kAny, buildAggregate},
		{"NumericSequenceAggregate", "min, max or sum (function) of numbers; neutral_value=null for an empty list", kList, kAny, buildNumeric},
		{"SequenceMap", "a list whose elements are replaced by those that stand for them in lookup_table", kSequence, kList, buildMap},
		{"SequenceApply", "a list of what operations make of each element", kSequence, kList, buildApply},
		{"SequenceJoin", "the elements as one string with separator=\", \" between them", kSequence, kText, buildJoin},
		{"ToNumber", "a number, by cast_to: int (the fraction is cut off) or float", kScalar, kNumber, buildToNumber},
		{"NumberRound", "the number with decimal_digits digits after the point, to even when two are equally near", kNumber | kBool, kNumber, buildRound},
		{"Multiply", "the product with other", kNumber | kBool, kNumber, buildMultiply},
		{"Divide", "the quotient by other, always with a fraction", kNumber | kBool, kNumber, buildDivide},
		{"ToString", "the value as text, as Python writes it", kAny &^ kImage, kText, buildToString},
		{"ToBoolean", "false for 0, null and what is empty, else true", kAny, kBool, buildToBoolean},
		{"StringToLowerCase", "the text in lower case", kText, kText, buildLower},
		{"StringToUpperCase", "the text in upper case", kText, kText, buildUpper},
		{"StringSubSequence", "the letters from start=0 up to before end=-1; negative numbers count from the end", kText, kText, buildSubstring},
		{"StringMatches", "whether a regular expression (regex, RE2) is found in the text", kText, kBool, buildMatches},
		{"LookupTable", "what stands for the value in lookup_table", kAny, kAny, buildLookup},
		{"RandomNumber", "a random number from min_value=0 up to max_value=1, whatever it is given", kAny, kNumber, buildRandom},
		{"TimestampToISOFormat", "a time as text, 2026-01-02T03:04:05+00:00", kTime, kText, buildISO},
		{"ExtractImageProperty", "of an image: size (its number of pixels), height, width, aspect_ratio (width / height)", kImage, kNumber, buildImageProperty},
		{"ExtractFrameMetadata", "of the frame: frame_number (from 1), frame_timestamp, seconds_since_start (by frame number and rate in a file, by the stream's time stamps otherwise)", kImage | kMetadata, kNumber | kTime, buildFrameMetadata},
		{"ConvertImageToJPEG", "the image as JPEG; compression_level=95 is the quality, 1 to 100", kImage, kBytes, buildJPEG},
		{"ConvertImageToBase64", "the image as JPEG of quality 95, in base64", kImage, kText, buildBase64},
		{"ConvertDictionaryToJSON", "an object or a classification as JSON text", kObject | kClasses, kText, buildJSON},
	}
}

// A Doc describes an operation for those who write workflows.
type Doc struct{ Name, Text string }

// Reference describes all operations.
func Reference() []Doc {
	var all []Doc
	for _, e := range table() {
		all = append(all, Doc{e.name, e.doc})
	}
	return all
}
