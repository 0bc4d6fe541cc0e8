package infer

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"perch/pipeline"
)

// Config says where ONNX Runtime is.
type Config struct {
	Library string       // the library or the folder that holds it; "" looks through Search
	Search  []string     // folders, in order; nil is [SearchPath]
	Log     *slog.Logger // nil logs nothing
}

// A Library is the ONNX Runtime that was taken.
type Library struct {
	Path    string   // absolute
	Version string   // for example "1.24.3"
	Passed  []string // libraries that came first but could not be used, each with the reason
}

// A Runtime is ONNX Runtime in this process. There can be one: its environment
// is global to the process and is never destroyed, because providers that used
// CUDA do not survive that.
type Runtime struct {
	cfg     Config
	start   func() (Library, error)
	opening chan struct{} // holds the one permission to create a session
	machine machine
	process string // names this process in notes that others read

	kept sync.Once // says that files stay root's
}

// SearchPath is where the library is looked for, in order: builds for the GPU
// that the user brought, what is beside the program, the package's own, and
// what set-up fetched into the user's cache.
func SearchPath() []string {
	dirs := []string{"/usr/lib/perch/gpu", "/opt/onnxruntime/lib", "/usr/local/lib"}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		d := filepath.Dir(exe)
		dirs = append(dirs, filepath.Join(d, "..", "lib", "perch"), d)
	}
	dirs = append(dirs, "/usr/lib/perch")
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "perch"))
	}
	return dirs
}

// New returns a Runtime that loads nothing until Start, Open or Inspect.
func New(cfg Config) *Runtime {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Search == nil {
		cfg.Search = SearchPath()
	}
	rt := &Runtime{cfg: cfg, opening: make(chan struct{}, 1), machine: machine{root: "/"}, process: rand.Text()}
	rt.start = sync.OnceValues(rt.load)
	return rt
}

// Start loads the library, once; later calls return what the first one did.
// It fails with Kind NotFound when there is no library, Unsupported when none
// is new enough and BadConfig when the one that was asked for cannot be used.
func (rt *Runtime) Start() (Library, error) { return rt.start() }

const hintInstall = "install ONNX Runtime 1.22 or newer, or set its path in the configuration"

func (rt *Runtime) load() (Library, error) {
	if !claimProcess() {
		return Library{}, &pipeline.Error{Op: "start ONNX Runtime", Kind: pipeline.Other,
			Err: errors.New("it was already started in this process by another Runtime")}
	}
	lib, err := rt.find()
	if err == nil {
		err = rt.initialise(lib)
	}
	if err != nil {
		disclaimProcess()
		return Library{}, err
	}
	rt.cfg.Log.Info("ONNX Runtime loaded", "path", lib.Path, "version", lib.Version)
	for _, p := range lib.Passed {
		rt.cfg.Log.Warn("ONNX Runtime library passed over", "why", p)
	}
	return lib, nil
}

func (rt *Runtime) initialise(lib Library) error {
	ort.SetSharedLibraryPath(lib.Path)
	_, err := keepSignals(func() error {
		// Errors come back as values; what C prints beside them only alarms.
		if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
			return err
		}
		return ort.DisableTelemetry()
	})
	if err != nil {
		return &pipeline.Error{Op: "start ONNX Runtime", On: lib.Path, Kind: pipeline.Unsupported, Err: err, Hint: hintInstall}
	}
	return nil
}

// find picks the library: the one that was asked for or none, else the first
// usable one.
func (rt *Runtime) find() (Library, error) {
	if rt.cfg.Library != "" {
		return explicit(rt.cfg.Library)
	}
	var lib Library
	for _, dir := range rt.cfg.Search {
		for _, path := range inFolder(dir) {
			v, err := tryLibrary(path)
			if err == nil {
				lib.Path, lib.Version = path, v
				return lib, nil
			}
			lib.Passed = append(lib.Passed, fmt.Sprintf("%s: %v", path, err))
		}
	}
	if len(lib.Passed) > 0 {
		return Library{}, &pipeline.Error{Op: "find ONNX Runtime", Kind: pipeline.Unsupported,
			Err: errors.New("no usable library: " + strings.Join(lib.Passed, "; ")), Hint: hintInstall}
	}
	return Library{}, &pipeline.Error{Op: "find ONNX Runtime", Kind: pipeline.NotFound,
		Err: errors.New("libonnxruntime.so.1 is in none of " + strings.Join(rt.cfg.Search, ", ")), Hint: hintInstall}
}

func explicit(path string) (Library, error) {
	fail := func(kind pipeline.Kind, err error) (Library, error) {
		return Library{}, &pipeline.Error{Op: "load ONNX Runtime", On: path, Kind: kind, Err: err, Hint: hintInstall}
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(pipeline.NotFound, errors.New("no such file"))
	}
	if err != nil {
		return fail(pipeline.BadConfig, err)
	}
	if st.IsDir() {
		found := inFolder(path)
		if len(found) == 0 {
			return fail(pipeline.NotFound, errors.New("the folder holds no libonnxruntime.so.1"))
		}
		path = found[0]
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(pipeline.BadConfig, err)
	}
	v, err := tryLibrary(abs)
	if err != nil {
		return fail(pipeline.BadConfig, err)
	}
	return Library{Path: abs, Version: v}, nil
}

// inFolder lists the ONNX Runtime libraries in dir by absolute path, the
// conventional names first.
func inFolder(dir string) []string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, name := range []string{"libonnxruntime.so.1", "libonnxruntime.so"} {
		if st, err := os.Stat(filepath.Join(abs, name)); err == nil && st.Mode().IsRegular() {
			found = append(found, filepath.Join(abs, name))
		}
	}
	if len(found) > 0 {
		return found[:1]
	}
	versioned, _ := filepath.Glob(filepath.Join(abs, "libonnxruntime.so.1.*")) // the pattern is valid
	slices.Sort(versioned)
	slices.Reverse(versioned)
	return versioned
}

// tryLibrary returns the version of a usable library. It asks before the
// binding does, because the binding's own complaint about an old library names
// neither the version nor the cure.
func tryLibrary(path string) (version string, err error) {
	_, err = keepSignals(func() error {
		if version, err = libraryVersion(path); err != nil {
			return err
		}
		return checkVersion(version)
	})
	return version, err
}
