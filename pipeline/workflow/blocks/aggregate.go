package blocks

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"perch/pipeline/workflow"
	"perch/pipeline/workflow/blocks/query"
)

var aggregateModes = [...]string{"sum", "avg", "max", "min", "count", "distinct", "count_distinct", "values_counts", "values_difference"}

const (
	// maxDistinct bounds how many different values are told apart.
	maxDistinct = 100_000
	// maxDistinctBytes bounds what those of all steps of a run take.
	maxDistinctBytes = 64 << 20
	// distinctBytes is about what one takes besides its text.
	distinctBytes = 200
)

// room is how much memory the different values of a run may still take, bytes.
type room struct{ left int }

// aggregate is one figure that grows from frame to frame.
type aggregate struct {
	name, mode string
	input      int // which of the data
	n          float64
	sum        float64
	fraction   bool // one of the numbers was no integer
	low, high  workflow.Value
	index      map[distinctKey]int
	values     []workflow.Value // the different ones, by index; none of count_distinct
	counts     []int64
	room       *room // shared by the run
	taken      int   // of it
}

// distinctKey is what makes values different: 1, 1.0 and true are the same, as
// they are in Python.
type distinctKey struct {
	typ workflow.Type
	num float64
	str string
}

func (a *aggregate) reset() {
	a.n, a.sum, a.fraction, a.low, a.high = 0, 0, false, workflow.Value{}, workflow.Value{}
	a.values, a.counts = nil, nil // results of the last interval hold them
	if a.index == nil || len(a.index) > 0 {
		a.index = map[distinctKey]int{} // the old one stays as large as it was
	}
	a.room.left += a.taken
	a.taken = 0
}

// add adds a value to the figure.
func (a *aggregate) add(v workflow.Value) error {
	switch a.mode {
	case "count":
		a.n++
		if n, ok := elements(v); ok {
			a.n += float64(n) - 1
		}
		return nil
	case "distinct", "count_distinct", "values_counts":
		if items, ok := v.Items(); ok {
			for _, item := range items {
				if err := a.count(item); err != nil {
					return err
				}
			}
			return nil
		}
		return a.count(v)
	}
	f, ok := query.Number(v)
	if !ok {
		return fmt.Errorf("it is given %s and needs a number (SequenceLength in data_operations counts a list)", v.Describe())
	}
	low, _ := query.Number(a.low)
	high, _ := query.Number(a.high)
	if a.n == 0 || f < low {
		a.low = v
	}
	if a.n == 0 || f > high {
		a.high = v
	}
	a.n++
	a.sum += f
	a.fraction = a.fraction || v.Type() == workflow.Float
	return nil
}

// elements is the number of elements of what has some. A text counts as one.
func elements(v workflow.Value) (int, bool) {
	if items, ok := v.Items(); ok {
		return len(items), true
	}
	if f, ok := v.Fields(); ok {
		return len(f.Keys), true
	}
	if d, ok := v.Detections(); ok {
		return len(d.Items), true
	}
	return 0, false
}

// count adds one value to those that are told apart.
func (a *aggregate) count(v workflow.Value) error {
	key := distinctKey{typ: v.Type()}
	switch f, isNum := query.Number(v); {
	case isNum:
		key = distinctKey{typ: workflow.Float, num: f}
	case v.Type() == workflow.String:
		key.str, _ = v.Str()
		if a.mode == "count_distinct" && len(key.str) > sha256.Size {
			sum := sha256.Sum256([]byte(key.str)) // nobody asks for the text itself
			key = distinctKey{typ: workflow.Bytes, str: string(sum[:])}
		}
	case !v.IsNull():
		return fmt.Errorf("it is given %s and tells numbers and texts apart (data_operations can make a list of those)", v.Describe())
	}
	i, known := a.index[key]
	if !known {
		var err error
		if i, err = a.begin(key, v); err != nil {
			return err
		}
	}
	if a.mode != "count_distinct" {
		a.counts[i]++
	}
	return nil
}

// begin takes note of a value that is new.
func (a *aggregate) begin(key distinctKey, v workflow.Value) (int, error) {
	i, takes := len(a.index), distinctBytes+len(key.str)
	switch {
	case i == maxDistinct:
		return 0, fmt.Errorf("there are more than %d different values in one interval: choose a shorter one", maxDistinct)
	case takes > a.room.left:
		return 0, fmt.Errorf("the different values of the workflow's intervals take more than %d MB: choose a shorter interval or shorter texts (count_distinct keeps none)", maxDistinctBytes>>20)
	}
	a.room.left -= takes
	a.taken += takes
	key.str = strings.Clone(key.str) // it may be a piece of a much longer text
	a.index[key] = i
	if a.mode != "count_distinct" {
		if v.Type() == workflow.String {
			v = workflow.StringOf(key.str)
		}
		a.values, a.counts = append(a.values, v), append(a.counts, 0)
	}
	return i, nil
}

// result is the figure at the end of the interval.
func (a *aggregate) result() workflow.Value {
	low, _ := query.Number(a.low)
	high, _ := query.Number(a.high)
	switch a.mode {
	case "sum":
		return query.NumberOf(a.sum, !a.fraction)
	case "avg":
		return workflow.FloatOf(a.sum / a.n)
	case "max":
		return a.high
	case "min":
		return a.low
	case "values_difference":
		return query.NumberOf(high-low, a.low.Type() != workflow.Float && a.high.Type() != workflow.Float)
	case "count":
		return workflow.IntOf(int64(a.n))
	case "count_distinct":
		return workflow.IntOf(int64(len(a.index)))
	case "distinct":
		return workflow.ListOf(a.values)
	}
	f := &workflow.Fields{}
	for i, v := range a.values {
		key, err := query.Text(v)
		if err != nil {
			key = v.Describe() // numbers and texts have a text, unless it is too long
		}
		f.Keys, f.Values = append(f.Keys, key), append(f.Values, workflow.IntOf(a.counts[i]))
	}
	return workflow.ObjectOf(f)
}
