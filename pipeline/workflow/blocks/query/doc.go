// Package query is the query language of workflows: lists of operations that
// turn one value into another, and conditions, both written as JSON.
//
// [Compile] and [CompileGroup] check a definition and make it ready once; what
// is wrong is an [*Error] that names the place inside the JSON. What they
// return is then evaluated on each frame without looking any name up.
// [CompileField] and its relatives do that for a field of a block.
//
// Values mean what they mean in Python, in which the language was defined:
// true is the integer 1 and false is 0 in comparisons and sums; 1 and 1.0 are
// equal; rounding goes to the nearest, and to even when two are equally near;
// [AppendText] writes True, None, 1.0 and ['a', 'b']. It differs where that
// could not be seen, or would do harm:
//
//   - Integers are exact up to 2^53.
//   - "and" and "or" stop at the first statement that decides, so a later
//     statement that would fail does not.
//   - The Number comparators fail on texts instead of comparing them letter by
//     letter; ToNumber turns a text into a number.
//   - A point is a list in both of its forms, never a tuple: ToString writes
//     [1.0, 2.0].
//   - A property that a detection does not have (time_in_zone before it was in
//     a zone, tracker_id without a tracker) is null, in lists as well.
//   - StringMatches uses RE2: no look-around, no back-references, \d, \w and \s
//     know ASCII only, and $ without (?m) does not match before a last newline.
//   - Upper and lower case are those of single letters: "ß" stays "ß".
//   - ConvertDictionaryToJSON writes no spaces and leaves letters that are not
//     ASCII as they are. Detections and classifications as text are JSON too.
//   - SortDetections keeps the order of detections that are equal (and, when
//     descending, reverses it).
//
// Everything is bounded: how deep definitions are nested, how many operations
// one has, how long texts and lists get, and how much work one evaluation is.
package query

// The bounds.
const (
	maxDepth = 20        // of operations and statements inside each other
	maxParts = 500       // operations and statements of one definition
	maxText  = 1_000_000 // bytes of a text that an operation makes
	maxItems = 100_000   // items of a list that an operation makes
	maxWork  = 2_000_000 // items that one evaluation goes through; about a tenth of a second
	maxRegex = 2000      // bytes of a regular expression
)
