package doctor

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Cameras checks the video devices: those that are there, and those that the
// configuration wants ("/dev/video0").
func (h Host) Cameras(wanted ...string) Check {
	return Check{Name: "video devices", Do: func(context.Context) []Finding {
		nodes := h.glob("/dev/video*")
		var findings []Finding
		for _, w := range wanted {
			if !h.exists(w) {
				f := missing(w+" is configured but not there", "plug the camera in; what is there: v4l2-ctl --list-devices, or: ls -l /dev/v4l/by-id")
				findings = append(findings, f...)
			}
		}
		if len(nodes) == 0 && len(wanted) == 0 {
			return good("none, so only network cameras and files can be used")
		}
		return append(findings, h.usable(nodes)...)
	}}
}

// GPU checks that the devices of the graphics processor can be used: those of
// a Jetson, of an NVIDIA card, and the render nodes.
func (h Host) GPU() Check {
	return Check{Name: "GPU devices", Do: func(context.Context) []Finding {
		var nodes []string
		for _, p := range []string{"/dev/nvidiactl", "/dev/nvidia[0-9]*", "/dev/nvidia-uvm", "/dev/nvmap", "/dev/nvhost-ctrl*", "/dev/nvgpu/igpu0/ctrl", "/dev/dri/renderD*"} {
			nodes = append(nodes, h.glob(p)...)
		}
		if len(nodes) == 0 {
			return good("none, so models run and video is decoded on the CPU")
		}
		return h.usable(nodes)
	}}
}

// usable reports the nodes that this user may read and write, and how to get
// at those that they may not.
func (h Host) usable(nodes []string) []Finding {
	var can []string
	var findings []Finding
	groups := map[string][]string{} // nodes by the group that would do
	for _, n := range nodes {
		path := filepath.Join(h.Root, n)
		const readWrite = 0x4 | 0x2 // R_OK, W_OK
		if err := syscall.Access(path, readWrite); err == nil {
			can = append(can, n)
		} else if g := groupOf(path); g != "" {
			groups[g] = append(groups[g], n)
		} else {
			findings = append(findings, missing(fmt.Sprintf("%s: %v", n, err), "ls -l "+n)...)
		}
	}
	if len(can) > 0 {
		findings = append(findings, good("%s", strings.Join(can, ", "))...)
	}
	var names []string
	for g := range groups {
		names = append(names, g)
	}
	slices.Sort(names)
	for _, g := range names {
		findings = append(findings, missing(
			fmt.Sprintf("%s may not use %s", userName(), strings.Join(groups[g], ", ")),
			fmt.Sprintf("sudo usermod -aG %s %s, then log in again; or run it as the service's user: sudo -u perch perch doctor", g, userName()))...)
	}
	return findings
}

// groupOf returns the group of a file when its members may read and write it.
func groupOf(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o060 != 0o060 {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	gid := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(gid); err == nil {
		return g.Name
	}
	return gid
}
