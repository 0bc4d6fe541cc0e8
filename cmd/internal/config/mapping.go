package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Bounds of what may be drawn on a camera.
const (
	maxShapes     = 64
	maxCorners    = 256
	maxCoordinate = 16384
)

// An XY is a point in pixels from a picture's upper left corner.
type XY = [2]float64

// Zones are polygons by name.
type Zones map[string][]XY

// Lines are pairs of points by name.
type Lines map[string][2]XY

// Names maps foreign names to ours.
type Names map[string]string

// Parameters are values for a workflow's inputs: null, bool, int64, float64,
// string, list or group.
type Parameters map[string]any

// Engines say how TensorRT builds models, by the models' ids.
type Engines map[string]Engine

// An Engine says how TensorRT builds one model.
type Engine struct {
	FP16        bool     `yaml:"fp16" json:"fp16" default:"true"`
	INT8        bool     `yaml:"int8" json:"int8"`
	Calibration string   `yaml:"calibration" json:"calibration"`
	Workspace   ByteSize `yaml:"workspace" json:"workspace" default:"1 GiB"`
	DLA         int      `yaml:"dla" json:"dla" default:"-1"`
}

// These are groups whose keys are the user's. In the file they are written as
// groups; a variable of the environment holds the whole group, as YAML or JSON
// in one line.

// UnmarshalText implements [encoding.TextUnmarshaler].
func (z *Zones) UnmarshalText(b []byte) error { return groupFrom(b, (*map[string][]XY)(z)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (l *Lines) UnmarshalText(b []byte) error { return groupFrom(b, (*map[string][2]XY)(l)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (n *Names) UnmarshalText(b []byte) error { return groupFrom(b, (*map[string]string)(n)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Parameters) UnmarshalText(b []byte) error { return groupFrom(b, (*map[string]any)(p)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *Engines) UnmarshalText(b []byte) error { return groupFrom(b, (*map[string]Engine)(e)) }

// groupFrom replaces what into points at by the group that b describes.
func groupFrom[V any](b []byte, into *map[string]V) error {
	group := map[string]V{}
	if err := DecodeYAML(b, &group); err != nil {
		if invalid, ok := errors.AsType[*Invalid](err); ok {
			p := invalid.Problems[0]
			return errors.New("is not the group that it must be: " + strings.TrimPrefix(p.Path+": "+p.What, ": "))
		}
		return err
	}
	*into = group
	return nil
}

// MarshalYAML hides the values whose names say that they are credentials.
func (p Parameters) MarshalYAML() (any, error) { return p.shown(), nil }

// MarshalJSON hides as MarshalYAML does.
func (p Parameters) MarshalJSON() ([]byte, error) { return json.Marshal(p.shown()) }

// Format hides as MarshalYAML does, whatever the verb.
func (p Parameters) Format(f fmt.State, _ rune) { writeYAML(f, p) }

func (p Parameters) shown() map[string]any {
	if p == nil {
		return nil
	}
	m := maps.Clone(map[string]any(p))
	for name, v := range m {
		if redact(name+"=x") != name+"=x" && v != nil {
			m[name] = hidden
		}
	}
	return m
}

// isGroup reports whether values of type t are groups whose keys are the user's.
func isGroup(t reflect.Type) bool { return isScalar(t) && t.Kind() == reflect.Map }

// sortedNames makes messages about maps come out the same every time.
func sortedNames[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
