package doctor

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// Model is what a board calls itself, "" for a PC.
func (h Host) Model() string { return h.read("/proc/device-tree/model") }

// jetPack names a release of Jetson Linux by the JetPack that came with it, after
// NVIDIA's archive of JetPack releases.
func jetPack(major, revision string) string {
	linux := "Jetson Linux " + major + "." + revision
	known := []struct{ linux, pack string }{ // a major release alone comes last
		{"36.3", "6.0"}, {"36.4.0", "6.1"}, {"36.4.3", "6.2"}, {"36.4.4", "6.2.1"}, {"36.5", "6.2.2"}, {"36", "6"},
		{"38.2", "7.0"}, {"38.4", "7.1"}, {"39.2", "7.2"}, {"38", "7"}, {"39", "7"},
	}
	for _, k := range known {
		if v := major + "." + revision + "."; strings.HasPrefix(v, k.linux+".") {
			return "JetPack " + k.pack + " (" + linux + ")"
		}
	}
	return linux
}

// Power says which of its power modes a Jetson is in, of which the speed of
// everything depends. nvpmodel itself may be asked by root only; what it is told
// and what it remembers are two files that everybody may read.
func (h Host) Power() Check {
	return Check{Name: "power mode", Do: func(context.Context) []Finding {
		conf := h.read("/etc/nvpmodel.conf")
		if conf == "" {
			return nil // no Jetson
		}
		names := map[string]string{}
		var others []string
		for _, m := range regexp.MustCompile(`(?m)^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>`).FindAllStringSubmatch(conf, -1) {
			names[number(m[1])] = m[2]
			others = append(others, number(m[1]))
		}
		now := regexp.MustCompile(`pmode:(\d+)`).FindStringSubmatch(h.read("/var/lib/nvpmodel/status"))
		if now == nil { // it was never changed
			now = regexp.MustCompile(`(?m)^\s*<\s*PM_CONFIG\s+DEFAULT=(\d+)`).FindStringSubmatch(conf)
		}
		if now == nil || names[number(now[1])] == "" {
			return warning("neither /etc/nvpmodel.conf nor /var/lib/nvpmodel/status says which", "sudo nvpmodel -q")
		}
		id := number(now[1])
		found := fmt.Sprintf("%s (%s)", names[id], id)
		var rest []string
		for _, o := range others {
			if o != id {
				rest = append(rest, fmt.Sprintf("%s (%s)", names[o], o))
			}
		}
		if len(rest) > 0 {
			found += "; others: " + strings.Join(rest, ", ") + ", by sudo nvpmodel -m with the number"
		}
		return good("%s", found)
	}}
}

// number is a number without leading zeros.
func number(s string) string {
	if s = strings.TrimLeft(s, "0"); s == "" {
		return "0"
	}
	return s
}

// Board says what machine this is, and whether its JetPack is one that Perch
// runs on.
func (h Host) Board() Check {
	return Check{Name: "machine", Do: func(context.Context) []Finding {
		model := h.Model()
		release := h.read("/etc/nv_tegra_release")
		cpus := fmt.Sprintf("%d cores, %s", runtime.NumCPU(), runtime.GOARCH)
		if release == "" {
			if strings.Contains(model, "Jetson") {
				return warning(model+", "+cpus+"; not NVIDIA's Linux, since /etc/nv_tegra_release is not there", "install JetPack 6 or newer for the video hardware and the GPU")
			}
			if model == "" {
				model = "no Jetson"
			}
			return good("%s, %s", model, cpus)
		}
		// # R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, ...
		m := regexp.MustCompile(`R(\d+) \(release\), REVISION: ([\d.]+)`).FindStringSubmatch(release)
		if m == nil {
			return warning(model+", "+cpus+"; /etc/nv_tegra_release cannot be understood", "cat /etc/nv_tegra_release")
		}
		found := fmt.Sprintf("%s, %s, %s", model, jetPack(m[1], m[2]), cpus)
		if n, err := strconv.Atoi(m[1]); err != nil || n < 36 {
			return missing(found+": that is JetPack 5 or older", "Perch needs JetPack 6 or newer (Jetson Linux 36); flash it with SDK Manager")
		}
		return good("%s", found)
	}}
}

// lowMemory is where a second model or a TensorRT build gets the process killed.
const lowMemory = 512 << 20

// Memory checks how much memory is left.
func (h Host) Memory() Check {
	return Check{Name: "memory", Do: func(context.Context) []Finding {
		total, ok1 := h.meminfo("MemTotal")
		available, ok2 := h.meminfo("MemAvailable")
		if !ok1 || !ok2 {
			return warning("/proc/meminfo does not say", "free -h")
		}
		found := fmt.Sprintf("%s available of %s", sizeText(available), sizeText(total))
		if swap, ok := h.meminfo("SwapTotal"); ok && swap > 0 {
			found += ", " + sizeText(swap) + " of swap"
		}
		if available < lowMemory {
			return warning(found, "see who has it: ps aux --sort=-rss | head; on a Jetson the desktop takes much: sudo systemctl set-default multi-user.target, then restart")
		}
		return good("%s", found)
	}}
}

// meminfo returns a line of /proc/meminfo, in bytes.
func (h Host) meminfo(key string) (uint64, bool) {
	m := regexp.MustCompile(`(?m)^` + key + `:\s+(\d+) kB$`).FindStringSubmatch(h.read("/proc/meminfo"))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(m[1], 10, 53)
	return n << 10, err == nil
}

// receiveBuffer is what GStreamer's rtspsrc asks of the kernel for each RTP
// stream (its udp-buffer-size); the kernel silently gives less.
const receiveBuffer = 512 << 10

// UDPBuffer checks that the kernel lets RTSP over UDP have its receive buffer. A
// key frame of a large camera is longer than the usual one, and is torn by it.
func (h Host) UDPBuffer() Check {
	return Check{Name: "UDP buffer", Do: func(context.Context) []Finding {
		const file = "/proc/sys/net/core/rmem_max"
		n, err := strconv.ParseUint(h.read(file), 10, 63)
		switch {
		case err != nil:
			return warning(file+" does not say", "sysctl net.core.rmem_max")
		case n < receiveBuffer:
			return warning(fmt.Sprintf("the kernel allows %s; RTSP over UDP wants %s, else key frames tear", sizeText(n), sizeText(receiveBuffer)),
				"echo net.core.rmem_max=2097152 | sudo tee /etc/sysctl.d/60-perch.conf && sudo sysctl --system; or set the camera's transport to tcp")
		}
		return good("the kernel allows %s", sizeText(n))
	}}
}

// hot is taken for a zone that does not say when it starts to slow down.
const hot = 85_000

// Temperature checks whether the machine is so hot that it slows down.
func (h Host) Temperature() Check {
	return Check{Name: "temperature", Do: func(context.Context) []Finding {
		found, tooHot, worst := "", false, -1<<62
		for _, zone := range h.glob("/sys/class/thermal/thermal_zone*") {
			t, err := strconv.Atoi(h.read(zone + "/temp"))
			if err != nil || t <= -40_000 || t > 200_000 {
				continue // a zone that is switched off, or has no sensor
			}
			limit := h.slowsAt(zone)
			if margin := t - limit; margin > worst {
				worst = margin
				found = fmt.Sprintf("%.0f °C in %s, which slows down at %.0f °C", float64(t)/1000, h.read(zone+"/type"), float64(limit)/1000)
				tooHot = t >= limit
			}
		}
		switch {
		case found == "":
			return good("no sensor, as in virtual machines")
		case tooHot:
			return warning(found, "give it air; on a Jetson: sudo tegrastats shows it, sudo nvpmodel -q the power mode, and sudo jetson_clocks --fan turns the fan up")
		}
		return good("%s", found)
	}}
}

// slowsAt returns the lowest passive trip point of a zone, in thousandths of a degree.
func (h Host) slowsAt(zone string) int {
	lowest := 0
	for _, kind := range h.glob(zone + "/trip_point_*_type") {
		t, err := strconv.Atoi(h.read(strings.TrimSuffix(kind, "_type") + "_temp"))
		if h.read(kind) == "passive" && err == nil && t > 0 && (lowest == 0 || t < lowest) {
			lowest = t
		}
	}
	if lowest == 0 {
		return hot
	}
	return lowest
}
