package doctor

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// About is what support asks first. What cannot be found out says why not.
type About struct {
	Version string    `json:"version"` // Perch's
	Time    time.Time `json:"time"`    // by this machine's clock
	OS      string    `json:"os"`
	Kernel  string    `json:"kernel"`
	Arch    string    `json:"arch"`
	Systemd string    `json:"systemd"`
}

// About names the system that a Perch of this version looks at.
func (h Host) About(ctx context.Context, version string) About {
	a := About{
		Version: version, Time: time.Now().UTC(), OS: "not known: /etc/os-release has no PRETTY_NAME", Arch: runtime.GOARCH,
		Kernel: h.read("/proc/sys/kernel/osrelease"), Systemd: systemdVersion(ctx),
	}
	if m := regexp.MustCompile(`(?m)^PRETTY_NAME=(["']?)(.*?)["']?\s*$`).FindStringSubmatch(h.read("/etc/os-release")); m != nil {
		a.OS = oneLine(m[2])
	}
	return a
}

// systemdVersion is the first line of what systemctl says, "systemd 249 (249.11-0ubuntu3.12)".
func systemdVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, usualLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "--version").Output()
	if err != nil {
		return fmt.Sprintf("not known: %v", err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimPrefix(oneLine(first), "systemd ")
}
