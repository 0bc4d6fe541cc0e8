package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"perch/cmd/internal/api"
)

// A device from a kit: claimed once, known after a restart, free again after a reset.
func TestClaimOfADevice(t *testing.T) {
	need(t, "PERCH_ORT_LIB")
	t.Parallel()
	dir := t.TempDir()
	conf := strings.Replace(quiet, "http: {", "http: {claim: true, ", 1) + "device: {name: bench}\n"
	d := startDaemon(t, dir, conf)
	if status, body := d.ask(t, "GET", "/api/v1/status"); status != http.StatusForbidden {
		t.Errorf("a device without an owner answers %d %s", status, body)
	}
	if status, body := d.ask(t, "GET", "/readyz"); status != http.StatusOK {
		t.Errorf("is not ready: %d %s", status, body)
	}
	resp, err := http.Post(d.url+"/api/v1/claim", "application/json", strings.NewReader(`{"name":"gate"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d, %v", resp.StatusCode, err)
	}
	if s := get[api.Status](t, d, "/api/v1/status"); s.Name != "gate" {
		t.Errorf("its name is %q", s.Name)
	}
	if status := d.stop(t); status != exitOK {
		t.Errorf("exit status %d", status)
	}

	again := startDaemon(t, dir, conf)
	if status, _ := again.ask(t, "DELETE", "/api/v1/runs/none"); status != http.StatusUnauthorized {
		t.Errorf("after a restart a stranger may: %d", status)
	}
	req, err := http.NewRequestWithContext(t.Context(), "DELETE", again.url+"/api/v1/runs/none", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+got.Token)
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("after a restart the owner may not: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	absent(t, got.Token, dir, d.log.String(), again.log.String())

	file := filepath.Join(dir, "perch.yaml")
	for _, want := range []string{`claimed, under the name "gate"`, "The token counts no more", "waits for an owner", "Nobody had claimed it"} {
		args := []string{"claim", "--config", file}
		if strings.Contains(want, "token") || strings.Contains(want, "Nobody") {
			args = append(args, "reset")
		}
		if said := finish(t, perch(t, t.Context(), dir, args...)); said.status != exitOK || !strings.Contains(said.out, want) {
			t.Errorf("%q: %d %q %s", args, said.status, said.out, said.errOut)
		}
	}
}
