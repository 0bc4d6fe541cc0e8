package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAboutTheSystem(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\necho 'systemd 249 (249.11-0ubuntu3.12)'\necho '+PAM +AUDIT'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h := machine(t, map[string]string{
		"etc/os-release":            "NAME=\"Ubuntu\"\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\nID=ubuntu\n",
		"proc/sys/kernel/osrelease": "5.15.136-tegra\n",
	})
	r := Run(t.Context())
	r.About = h.About(t.Context(), "1.2.3")
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var got map[string]any // the names are what support reads
	if err := json.Unmarshal(text.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"version": "1.2.3", "os": "Ubuntu 22.04.4 LTS", "kernel": "5.15.136-tegra", "systemd": "249 (249.11-0ubuntu3.12)", "schema": ReportSchema} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil || at.IsZero() {
		t.Errorf("time is %v, %v", got["time"], err)
	}
	if err := os.Remove(filepath.Join(bin, "systemctl")); err != nil {
		t.Fatal(err)
	}
	bare := machine(t, nil).About(t.Context(), "1")
	for _, said := range []string{bare.OS, bare.Systemd} {
		if !bytes.HasPrefix([]byte(said), []byte("not known: ")) {
			t.Errorf("a system that says nothing: %+v", bare)
		}
	}
}
