package infer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// rehearse plays a build, or, when the file is there, a load, that checks what
// it reads by itself as TensorRT does.
func rehearse(stop <-chan struct{}, dir string, d time.Duration) error {
	const name, parts = "rehearsal.engine", 100
	path := filepath.Join(dir, name)
	text, err := os.ReadFile(path)
	if err == nil {
		if strings.Count(string(text), "\n") != parts+1 || !strings.HasSuffix(string(text), "end\n") {
			return fmt.Errorf("%s is torn", path)
		}
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(max(d/parts, 1))
	defer tick.Stop()
	for range parts {
		select {
		case <-tick.C:
		case <-stop:
			return errors.New("the rehearsal was stopped")
		}
		if _, err := f.WriteString(strings.Repeat("rehearsal ", 4096) + "\n"); err != nil {
			return err
		}
	}
	if _, err := f.WriteString("end\n"); err != nil {
		return err
	}
	return f.Close()
}
