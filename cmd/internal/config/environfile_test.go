package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perch/pipeline"
)

// Each value is what systemd 252 made of the line, read from a service's /proc/self/environ.
func TestEnvironmentFileIsReadAsSystemdDoes(t *testing.T) {
	for line, want := range map[string]string{
		`A=plain`:                    "plain",
		`A=two words  `:              "two words",
		`  A =  x`:                   "x",
		`A="quoted # ; ' "`:          "quoted # ; ' ",
		`A='single " \n '`:           `single " \n `,
		`A="a \"b\" \$c \d \\"`:      `a "b" $c \d \`,
		`A=it's "here"`:              `it's "here"`,
		`A="one" 'two'three`:         "onetwothree",
		`A=back\ slash\n`:            "back slashn",
		"A=over \\\ntwo lines":       "over two lines",
		"A=\"over\\\n two\nlines\"":  "over two\nlines",
		"A=first\r\n":                "first",
		"#A=no\n;A=no\nword\nA=yes":  "yes",
		"A=":                         "",
		`A=http://u:p@h/?a=b&c=#x`:   "http://u:p@h/?a=b&c=#x",
		"A=ü":                        "ü",
		"A=\"never closed\nB=inside": "never closed\nB=inside",
	} {
		if got := parseEnvironment(line); !slices.Equal(got, []string{"A=" + want}) {
			t.Errorf("%q gives %q, want %q", line, got, want)
		}
	}
	if got := parseEnvironment("\n# nothing\nA=1\n\nB = 2\nA=3"); !slices.Equal(got, []string{"A=1", "B=2", "A=3"}) {
		t.Errorf("several: %q", got)
	}
}

func TestReadEnvironment(t *testing.T) {
	dir := t.TempDir()
	if got, err := ReadEnvironment(filepath.Join(dir, "none")); err != nil || got != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("A=b\n", maxEnvironment/4+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "is a folder", large: "larger than 64 KiB"} {
		if _, err := ReadEnvironment(path); pipeline.KindOf(err) != pipeline.BadConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
