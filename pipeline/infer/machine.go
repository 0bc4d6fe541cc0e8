package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A machine answers what hardware and NVIDIA software there is, by looking at
// files below root only: a provider that is loaded where it cannot work prints
// an error from C and may take seconds to fail.
type machine struct{ root string }

// gpuNodes are the device nodes of an NVIDIA GPU: PCI cards, then Jetson's.
func gpuNodes() []string {
	return []string{"/dev/nvidia[0-9]*", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/igpu0", "/dev/nvmap"}
}

func (m machine) hasGPU() bool {
	for _, pattern := range gpuNodes() {
		if found, _ := filepath.Glob(filepath.Join(m.root, pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// missing says why the provider cannot work with the library at lib, or "".
func (m machine) missing(provider, lib string) string {
	if onCPU(provider) {
		return ""
	}
	if !m.hasGPU() {
		return "no NVIDIA device node (" + strings.Join(gpuNodes(), ", ") + ")"
	}
	for _, so := range []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_" + provider + ".so"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(lib), so)); err != nil {
			return so + " is not beside " + lib
		}
	}
	return ""
}

// software names what a TensorRT engine depends on besides the model. What
// cannot be found out is "unknown": a change of it is then not noticed.
func (m machine) software() map[string]string {
	facts := map[string]string{
		"gpu":      m.gpu(),
		"driver":   m.firstLine("proc/driver/nvidia/version"),
		"jetpack":  m.firstLine("etc/nv_tegra_release"),
		"tensorrt": m.soVersion("libnvinfer"),
		"cuda":     m.cuda(),
	}
	for k, v := range facts {
		if v == "" {
			facts[k] = "unknown"
		}
	}
	return facts
}

func (m machine) gpu() string {
	cards, _ := filepath.Glob(filepath.Join(m.root, "proc/driver/nvidia/gpus/*/information"))
	for _, card := range cards {
		text, _ := os.ReadFile(card)
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "Model:"); ok {
				return strings.TrimSpace(name)
			}
		}
	}
	return m.firstLine("proc/device-tree/model")
}

func (m machine) firstLine(path string) string {
	text, err := os.ReadFile(filepath.Join(m.root, path))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.Trim(line, " \x00\r") // the device tree ends its strings with NUL
}

// soVersion returns the file that the library called name is, which says its
// whole version: libnvinfer.so.10.3.0, where its link libnvinfer.so.10 leads.
// Others may have stayed behind when that was replaced. Where several could be
// loaded it names them all.
func (m machine) soVersion(name string) string {
	links := regexp.MustCompile("^" + regexp.QuoteMeta(name) + `\.so\.\d+$`)
	var all []string
	for _, dir := range []string{"usr/lib/*-linux-gnu", "usr/lib64", "usr/lib", "usr/local/lib"} {
		found, _ := filepath.Glob(filepath.Join(m.root, dir, name+".so.*"))
		for _, f := range found {
			if real, err := filepath.EvalSymlinks(f); err == nil && links.MatchString(filepath.Base(f)) {
				all = append(all, filepath.Base(real))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func (m machine) cuda() string {
	text, err := os.ReadFile(filepath.Join(m.root, "usr/local/cuda/version.json"))
	if err != nil {
		return m.soVersion("libcudart")
	}
	var v struct {
		CUDA struct{ Version string } `json:"cuda"`
	}
	if json.Unmarshal(text, &v) != nil {
		return ""
	}
	return v.CUDA.Version
}
