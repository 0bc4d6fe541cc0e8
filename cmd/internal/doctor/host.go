package doctor

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// A Host is the machine that is looked at. Root is "/" but in tests.
type Host struct{ Root string }

// read returns the text of a small file of the kernel without blanks and zero
// bytes at its ends, "" when there is none.
func (h Host) read(path string) string {
	data, err := os.ReadFile(filepath.Join(h.Root, path))
	if err != nil {
		return ""
	}
	return strings.Trim(string(data), " \t\r\n\x00")
}

func (h Host) exists(path string) bool {
	_, err := os.Stat(filepath.Join(h.Root, path))
	return err == nil
}

// glob returns the paths that match, as the machine sees them.
func (h Host) glob(pattern string) []string {
	found, err := filepath.Glob(filepath.Join(h.Root, pattern))
	if err != nil {
		panic("doctor: pattern " + pattern + ": " + err.Error()) // a constant of ours
	}
	for i, f := range found {
		found[i] = "/" + strings.TrimPrefix(strings.TrimPrefix(f, filepath.Clean(h.Root)), "/")
	}
	return found
}

// userName is who runs this, for commands to type.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
