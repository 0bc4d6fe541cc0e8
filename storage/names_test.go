package storage

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"perch/pipeline"
)

// named is an object whose class is called label.
func named(class int, label string) pipeline.Detection {
	d := person(10)
	d.Class, d.Label = class, label
	return d
}

// A workflow with two models has two classes 0.
func TestANumberThatStandsForTwoNames(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("r1"))
	frames := [][]pipeline.Detection{
		{named(0, "person"), named(0, "husky"), named(7, "cup"), named(7, "plate")},
		{named(0, "husky"), named(0, "person"), named(7, "plate"), named(7, "cup"), named(0, "poodle")},
		{named(7, "cup"), named(1, "car"), named(9, "")},
	}
	for i, dets := range frames {
		r := frame("r1", uint64(i+1), dets...)
		record(t, s, r)
		for k := range dets {
			if r.Detections[k].Class != dets[k].Class {
				t.Fatal("the caller's result was changed")
			}
		}
	}
	c, msg := completion("r1", uint64(len(frames)))
	if err := s.Complete(t.Context(), c, msg); err != nil {
		t.Fatal(err)
	}
	var got []string
	numbers := map[string]map[int]bool{}
	for r, err := range s.Results(t.Context(), "r1") {
		if err != nil {
			t.Fatal(err)
		}
		var labels []string
		for _, d := range r.Detections {
			labels = append(labels, d.Label)
			if numbers[d.Label] == nil {
				numbers[d.Label] = map[int]bool{}
			}
			numbers[d.Label][d.Class] = true
		}
		got = append(got, strings.Join(labels, " "))
	}
	if want := []string{"person husky cup plate", "husky person plate cup poodle", "cup car "}; !reflect.DeepEqual(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	for label, n := range numbers {
		if len(n) != 1 {
			t.Errorf("%q has the numbers %v", label, n)
		}
	}
	for label, class := range map[string]int{"person": 0, "cup": 7, "car": 1} {
		if !numbers[label][class] {
			t.Errorf("%q, which came first, has lost its number %d: %v", label, class, numbers[label])
		}
	}
}

func TestNamesAreBounded(t *testing.T) {
	s := open(t, Options{})
	begin(t, s, startOf("r1"))
	dets := make([]pipeline.Detection, 0, maxMoved)
	for i := range maxMoved {
		dets = append(dets, named(0, fmt.Sprint("breed ", i)))
	}
	for n := 0; n < maxMoved; n += 100 {
		record(t, s, frame("r1", uint64(n+1), dets[n:n+100]...))
	}
	err := s.Record(t.Context(), frame("r1", maxMoved+1, named(0, "one too many")), nil)
	if err == nil || !strings.Contains(err.Error(), "more than 10000 classes") {
		t.Errorf("got %v", err)
	}
	record(t, s, frame("r1", maxMoved+2, dets[5])) // the others are still taken
}
