package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Provider of ONNX Runtime, and what it would load.
type Provider struct {
	Name, Path string
	Why        string // why it cannot be tried at all; "" when it can
	NoGPU      bool   // that is for want of a GPU
	Needs      []Library
}

// A Library is what a provider loads, itself or by another library.
type Library struct {
	Name   string   // as the loader looks for it
	Path   string   // "" when it is missing
	By     string   // the file that needs it
	Others []string // when it is missing: other versions that are there
}

// onJetson reports whether NVIDIA's packages for Jetson are to be had here.
func (h Host) onJetson() bool {
	return h.exists("/etc/nv_tegra_release") || strings.Contains(h.Model(), "Jetson")
}

// Provider says whether a provider can be used, with one line to type for all
// that it lacks. What is missing costs speed, not results, hence the warning.
func (h Host) Provider(p Provider) Finding {
	f := Finding{Name: "provider " + p.Name, Status: Warning, Found: p.Why}
	var packages []string
	lacks := 0
	for _, l := range p.Needs {
		if l.Path == "" {
			lacks++
			packages = append(packages, h.packageOf(l))
		}
	}
	slices.Sort(packages)
	packages = slices.DeleteFunc(slices.Compact(packages), func(s string) bool { return s == "" })
	switch {
	case p.NoGPU && !h.onJetson():
		f.Status = Good // nothing to mend
	case p.NoGPU:
		f.Hint = "the driver is not loaded, or the device is not handed into this container: ls -l /dev/nvhost-* /dev/nvmap /dev/nvgpu"
	case p.Why != "":
		f.Hint = "put a build of ONNX Runtime for the GPU, made for the JetPack of this device, into /usr/lib/perch/gpu or name it with models.onnxruntime"
	case lacks > 0:
		f.Found = fmt.Sprintf("%s, which cannot be loaded: %d of the libraries that it needs are missing", p.Path, lacks)
		f.Hint = "see the libraries below"
		if len(packages) > 0 {
			f.Hint = "sudo apt-get install " + strings.Join(packages, " ")
		}
	default:
		f.Status, f.Found = Good, p.Path+", and what it loads is there"
	}
	return f
}

// Library says whether a library is there.
func (h Host) Library(l Library) Finding {
	f := Finding{Name: "library " + l.Name, Status: Good, Found: l.Path}
	if l.Path != "" {
		return f
	}
	f.Status, f.Found = Warning, "missing; "+l.By+" needs it"
	name := h.packageOf(l)
	switch {
	case name != "":
		f.Hint = "sudo apt-get install " + name
	case isCUDA(l.Name):
		f.Hint = "install CUDA " + majorOf(l.Name) + " from NVIDIA's repository"
	case l.Name == "libcuda.so.1":
		f.Hint = "install NVIDIA's driver: nvidia-smi must work"
	default:
		f.Hint = "find its package: sudo apt-get install apt-file && sudo apt-file update && apt-file search " + l.Name
	}
	if len(l.Others) > 0 {
		f.Found += "; there is " + strings.Join(l.Others, ", ")
		f.Hint += "; if apt does not have it, this build of ONNX Runtime is for another JetPack or CUDA than the one here: take one that is made for it"
	}
	return f
}

// packageOf is the Debian package that has the library, "" when that cannot be
// said. TensorRT's and cuDNN's are called alike for Jetson and PC; those of
// CUDA have the minor version in their name, and on a Jetson come with JetPack.
func (h Host) packageOf(l Library) string {
	base, _, _ := strings.Cut(l.Name, ".so")
	major := majorOf(l.Name)
	switch {
	case base == "libnvonnxparser":
		return "libnvonnxparsers" + major
	case base == "libnvinfer" || strings.HasPrefix(base, "libnvinfer_"):
		return strings.ReplaceAll(base, "_", "-") + major
	case strings.HasPrefix(base, "libcudnn"):
		if n, err := strconv.Atoi(major); err != nil || n < 9 {
			return "libcudnn" + major
		}
		return "libcudnn" + major + "-cuda-" + h.cuda()
	case !h.onJetson():
		return ""
	case base == "libcuda":
		return "nvidia-l4t-cuda"
	case base == "libnvdla_compiler":
		return "nvidia-l4t-dla-compiler"
	case isCUDA(l.Name):
		return "nvidia-jetpack-runtime"
	}
	return ""
}

// cuda is the major version of CUDA that fits this device: 13 from JetPack 7 on.
func (h Host) cuda() string {
	if len(h.glob("/usr/local/cuda-13*")) > 0 || strings.Contains(h.read("/etc/nv_tegra_release"), "R38 ") || strings.Contains(h.read("/etc/nv_tegra_release"), "R39 ") {
		return "13"
	}
	return "12"
}

func isCUDA(library string) bool {
	base, _, _ := strings.Cut(library, ".so")
	return slices.Contains([]string{"libcudart", "libcublas", "libcublasLt", "libcufft", "libcurand", "libcusolver", "libcusparse", "libnvrtc", "libnvJitLink", "libcudla"}, base)
}

// majorOf is the number behind ".so.", "" for none.
func majorOf(library string) string {
	_, version, _ := strings.Cut(library, ".so.")
	major, _, _ := strings.Cut(version, ".")
	return major
}
