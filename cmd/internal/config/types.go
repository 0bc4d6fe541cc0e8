package config

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Duration is written as "250ms", "1m30s" or "30d"; d is a day of 24 hours.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(b []byte) error {
	s := strings.TrimSpace(string(b))
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || math.IsNaN(n) || math.Abs(n) > 100_000 {
			return errNotDuration
		}
		*d = Duration(n * float64(24*time.Hour))
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return errNotDuration
	}
	*d = Duration(v)
	return nil
}

// String returns the form that UnmarshalText reads.
func (d Duration) String() string {
	const day = 24 * time.Hour
	v := time.Duration(d)
	if v != 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// A ByteSize is a number of bytes, written as "2 GiB" or "500 MB".
type ByteSize int64

// units of a ByteSize, largest binary one first so that String finds it.
func byteUnits() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *ByteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	unit := int64(1)
	for _, u := range byteUnits() {
		if len(s) > len(u.name) && strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			s, unit = strings.TrimSpace(s[:len(s)-len(u.name)]), u.size
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n*float64(unit) >= math.MaxInt64 {
		return errNotByteSize
	}
	*b = ByteSize(n * float64(unit))
	return nil
}

// String returns the form that UnmarshalText reads.
func (b ByteSize) String() string {
	for _, u := range byteUnits() {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Sprintf("%d %s", int64(b)/u.size, u.name)
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText implements [encoding.TextMarshaler].
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// hidden stands where a credential would.
const hidden = "***"

// A Secret is a credential. Every way of printing it gives "***", or nothing
// when it is empty.
type Secret string

// Reveal returns the credential itself.
func (s Secret) Reveal() string { return string(s) }

// String implements [fmt.Stringer] without showing the credential.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format hides the credential from every verb, %d and %#v included, which
// would not ask String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText implements [encoding.TextMarshaler] without showing the credential.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Secret) UnmarshalText(b []byte) error {
	if string(b) == hidden {
		return errHidden
	}
	*s = Secret(b)
	return nil
}

// What holds a Secret formats itself: fmt prints a pointer inside a struct with
// a verb that it does not know, %s for example, without asking the fields.

// Format writes the configuration as YAML, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { writeYAML(f, c) }

// Format writes the section as YAML, whatever the verb.
func (m MQTT) Format(f fmt.State, _ rune) { writeYAML(f, m) }

// Format writes the section as YAML, whatever the verb.
func (s SMTP) Format(f fmt.State, _ rune) { writeYAML(f, s) }

// Format writes the camera as YAML, whatever the verb.
func (c Camera) Format(f fmt.State, _ rune) { writeYAML(f, c) }

func writeYAML(w io.Writer, v any) {
	b, err := EncodeYAML(v)
	if err != nil {
		b = []byte(err.Error())
	}
	_, _ = w.Write(b)
}

// A Path names a file or folder. [Load] makes it absolute: a relative path in
// the file starts at the file's folder, one in the environment at the working
// folder.
type Path string

// under returns p as seen from dir; an empty path stays empty.
func (p Path) under(dir string) Path {
	if p == "" || filepath.IsAbs(string(p)) {
		return p
	}
	return Path(filepath.Join(dir, string(p)))
}

var (
	errNotDuration = errors.New("is not a duration; write for example 250ms, 10s, 5m, 2h or 30d")
	errNotByteSize = errors.New("is not a size; write for example 500 MB or 2 GiB")
	errHidden      = errors.New("is ***, which stands where Perch has hidden a credential; write the credential itself")
)
