package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// jetson is a device with the release of Jetson Linux that its file says.
func jetson(t *testing.T, release string) Host {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc", "nv_tegra_release"), []byte(release), 0o644); err != nil {
		t.Fatal(err)
	}
	return Host{Root: root}
}

func TestLibraryNamesItsPackage(t *testing.T) {
	six, seven, pc := jetson(t, "# R36 (release), REVISION: 4.3"), jetson(t, "# R38 (release), REVISION: 2.0"), Host{Root: t.TempDir()}
	for _, c := range []struct {
		host Host
		name string
		hint string
	}{
		{six, "libnvinfer.so.10", "sudo apt-get install libnvinfer10"},
		{six, "libnvinfer_plugin.so.10", "sudo apt-get install libnvinfer-plugin10"},
		{pc, "libnvonnxparser.so.10", "sudo apt-get install libnvonnxparsers10"},
		{six, "libnvdla_compiler.so", "sudo apt-get install nvidia-l4t-dla-compiler"},
		{six, "libcuda.so.1", "sudo apt-get install nvidia-l4t-cuda"},
		{pc, "libcuda.so.1", "nvidia-smi"},
		{six, "libcudnn.so.9", "sudo apt-get install libcudnn9-cuda-12"},
		{seven, "libcudnn.so.9", "sudo apt-get install libcudnn9-cuda-13"},
		{six, "libcudnn.so.8", "sudo apt-get install libcudnn8"},
		{six, "libcublasLt.so.12", "sudo apt-get install nvidia-jetpack-runtime"},
		{pc, "libcublasLt.so.12", "install CUDA 12 from NVIDIA's repository"},
		{six, "libstrange.so.1", "apt-file search libstrange.so.1"},
	} {
		f := c.host.Library(Library{Name: c.name, By: "libx.so"})
		if f.Status != Warning || !strings.Contains(f.Hint, c.hint) || f.Name != "library "+c.name || f.Found != "missing; libx.so needs it" {
			t.Errorf("%+v, want %s", f, c.hint)
		}
	}
	f := six.Library(Library{Name: "libcudart.so.13", By: "libx.so", Others: []string{"libcudart.so.12"}})
	if !strings.Contains(f.Found, "there is libcudart.so.12") || !strings.Contains(f.Hint, "for another JetPack") {
		t.Errorf("%+v", f)
	}
	if f := six.Library(Library{Name: "libcudart.so.12", Path: "/x/libcudart.so.12.6"}); f.Status != Good || f.Found != "/x/libcudart.so.12.6" || f.Hint != "" {
		t.Errorf("%+v", f)
	}
}

func TestProviderSaysWhatItLacks(t *testing.T) {
	six, pc := jetson(t, "# R36 (release), REVISION: 4.3"), Host{Root: t.TempDir()}
	there, trt, dla := Library{Name: "libcudart.so.12", Path: "/x"}, Library{Name: "libnvinfer.so.10"}, Library{Name: "libnvdla_compiler.so"}
	for name, c := range map[string]struct {
		host        Host
		p           Provider
		status      Status
		found, hint string
	}{
		"all there":        {six, Provider{Path: "/p.so", Needs: []Library{there}}, Good, "/p.so, and what it loads is there", ""},
		"two missing":      {six, Provider{Path: "/p.so", Needs: []Library{there, trt, dla, dla}}, Warning, "3 of the libraries", "sudo apt-get install libnvinfer10 nvidia-l4t-dla-compiler"},
		"nobody knows one": {six, Provider{Path: "/p.so", Needs: []Library{{Name: "libstrange.so"}}}, Warning, "1 of the libraries", "see the libraries below"},
		"not in the build": {six, Provider{Why: "not beside"}, Warning, "not beside", "/usr/lib/perch/gpu"},
		"no driver":        {six, Provider{Why: "no node", NoGPU: true}, Warning, "no node", "/dev/nvhost"},
		"a PC without":     {pc, Provider{Why: "no node", NoGPU: true}, Good, "no node", ""},
	} {
		f := c.host.Provider(c.p)
		if f.Status != c.status || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Hint, c.hint) || (c.hint == "") != (f.Hint == "") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
