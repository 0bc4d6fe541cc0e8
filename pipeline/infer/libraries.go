package infer

import (
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Shared is a library that a provider loads, itself or by another library.
type Shared struct {
	Name   string   // as the loader looks for it, for example libnvinfer.so.10
	Path   string   // the file that it is, links resolved; "" when it is missing
	By     string   // the file that needs it
	Others []string // when it is missing: other versions of it that are there
}

// ProviderFiles say what an execution provider loads, by looking at files only.
type ProviderFiles struct {
	Provider string
	Why      string   // why it cannot be tried at all; "" when it can
	NoGPU    bool     // that is for want of a GPU
	Path     string   // its library
	Err      error    // why that cannot be read
	Needs    []Shared // what it loads itself, and what else is missing; without C's own libraries
}

// ProviderFiles looks at what the library in use would load for each of these
// providers, those left out that run on the CPU.
func (rt *Runtime) ProviderFiles(list []string) ([]ProviderFiles, error) {
	lib, err := rt.Start()
	if err != nil {
		return nil, err
	}
	var all []ProviderFiles
	for _, p := range list {
		if onCPU(p) {
			continue
		}
		f := ProviderFiles{Provider: p, Why: rt.machine.missing(p, lib.Path), NoGPU: !rt.machine.hasGPU(), Path: providerLibrary(lib.Path, p)}
		if f.Why == "" {
			f.Needs, f.Err = rt.machine.loader().needs(f.Path)
		}
		all = append(all, f)
	}
	return all, nil
}

func providerLibrary(lib, provider string) string {
	return filepath.Join(filepath.Dir(lib), "libonnxruntime_providers_"+provider+".so")
}

// A loader finds libraries as ld.so does, below root. It reads what ldconfig
// reads, not what ldconfig wrote.
type loader struct {
	root string
	dirs []string
}

func (m machine) loader() loader {
	l := loader{root: m.root}
	l.dirs = append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), l.configured("/etc/ld.so.conf", 0)...)
	for _, pattern := range []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/lib", "/usr/lib", "/lib64", "/usr/lib64"} {
		found, _ := filepath.Glob(filepath.Join(l.root, pattern)) // the pattern is valid
		for _, dir := range found {
			l.dirs = append(l.dirs, l.inside(dir))
		}
	}
	return l
}

// configured returns the folders that a file of ldconfig names.
func (l loader) configured(path string, depth int) (dirs []string) {
	const deepest = 5 // files may include each other
	text, err := os.ReadFile(filepath.Join(l.root, path))
	if err != nil || depth > deepest {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		pattern, include := strings.CutPrefix(line, "include ")
		switch {
		case include:
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(path), pattern)
			}
			found, _ := filepath.Glob(filepath.Join(l.root, pattern)) // one that is not valid includes nothing
			for _, f := range found {
				dirs = append(dirs, l.configured(l.inside(f), depth+1)...)
			}
		case filepath.IsAbs(line):
			dirs = append(dirs, line)
		}
	}
	return dirs
}

// maxLibraries bounds how many libraries one provider is followed through.
const maxLibraries = 500

// driver is what CUDA's run-time library opens without saying so in its file.
const driver = "libcuda.so.1"

// needs follows the libraries that the file at path asks for.
func (l loader) needs(path string) (all []Shared, err error) {
	first, err := l.read(path)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	todo := []elfFile{first}
	for len(todo) > 0 && len(seen) < maxLibraries {
		from := todo[0]
		todo = todo[1:]
		for _, name := range from.needs {
			if seen[name] {
				continue
			}
			seen[name] = true
			s := Shared{Name: name, By: filepath.Base(from.path)}
			found, ok := l.find(name, from)
			if ok {
				s.Path = found.path
				todo = append(todo, found)
			} else {
				s.Others = l.others(name, from)
			}
			if !ok || from.path == first.path && !ofC(name) {
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// ofC reports whether a library belongs to the C or C++ run-time.
func ofC(name string) bool {
	base, _, _ := strings.Cut(name, ".so")
	return slices.Contains([]string{"libc", "libm", "libdl", "libpthread", "librt", "libstdc++", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64"}, base)
}

// find returns the first file of that name for the same processor.
func (l loader) find(name string, from elfFile) (elfFile, bool) {
	for _, path := range l.places(name, from) {
		s, err := l.read(path)
		if err == nil && s.machine == from.machine {
			return s, true
		}
	}
	return elfFile{}, false
}

func (l loader) places(name string, from elfFile) (paths []string) {
	for _, dir := range from.runPath {
		paths = append(paths, filepath.Join(l.root, dir, name))
	}
	for _, dir := range l.dirs {
		paths = append(paths, filepath.Join(l.root, dir, name))
	}
	return paths
}

var versionOfName = regexp.MustCompile(`^(.+\.so)\.[0-9.]+$`)

// others returns other versions of the library that is called name.
func (l loader) others(name string, from elfFile) (others []string) {
	m := versionOfName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	for _, pattern := range l.places(m[1]+".*", from) {
		found, _ := filepath.Glob(pattern) // one that is not valid finds nothing
		for _, f := range found {
			if base := filepath.Base(f); base != name {
				others = append(others, base)
			}
		}
	}
	slices.Sort(others)
	return slices.Compact(others)
}

// elfFile is what a library's file says.
type elfFile struct {
	path    string // links resolved
	machine elf.Machine
	needs   []string
	runPath []string // below root
}

func (l loader) read(path string) (e elfFile, err error) {
	if e.path, err = filepath.EvalSymlinks(path); err != nil {
		return e, err
	}
	f, err := elf.Open(e.path)
	if err != nil {
		return e, err
	}
	defer f.Close()
	e.machine = f.Machine
	if e.needs, err = f.ImportedLibraries(); err != nil {
		return e, err
	}
	if strings.HasPrefix(filepath.Base(e.path), "libcudart.so.") {
		e.needs = append(e.needs, driver)
	}
	here := l.inside(filepath.Dir(e.path))
	origin := strings.NewReplacer("$ORIGIN", here, "${ORIGIN}", here)
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		list, err := f.DynString(tag)
		if err != nil {
			return e, err
		}
		for _, paths := range list {
			for _, dir := range filepath.SplitList(paths) {
				e.runPath = append(e.runPath, origin.Replace(dir))
			}
		}
	}
	return e, nil
}

// inside is path as seen below root.
func (l loader) inside(path string) string {
	return strings.TrimPrefix(path, strings.TrimSuffix(l.root, "/"))
}
