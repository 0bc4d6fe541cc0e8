package infer

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"perch/pipeline"
)

// The execution providers that Perch uses, best first.
const (
	TensorRT = "tensorrt"
	CUDA     = "cuda"
	CPU      = "cpu"

	// Rehearsal is not among the defaults: it takes RehearsalTime to write a
	// file, as if that were an engine, and runs on the CPU. It is for seeing
	// what the first hour of a device looks like where there is no GPU.
	Rehearsal = "rehearsal"
)

// providers are all of them.
func providers() []string { return []string{TensorRT, CUDA, CPU, Rehearsal} }

// Options say how a model is to run. The zero value is good.
type Options struct {
	Providers []string // in order of preference; nil is TensorRT, CUDA, CPU
	Strict    bool     // refuse any but the first of Providers

	Threads int // threads of one inference on the CPU; 0 is all cores up to four

	// Spin lets idle threads wait in a loop. On two cores NanoDet then runs a
	// tenth faster when frames follow each other without a pause, and takes
	// twice the CPU time when a camera paces them (65 ms a frame instead of 31).
	Spin bool

	Input       string             // the image input; "" is the first of rank 4, or the first
	InputShape  []int64            // its shape where the graph leaves dimensions open; the batch entry is not used
	ExtraShapes map[string][]int64 // likewise for the other inputs

	MaxBatch int // most frames in one run where the batch dimension is open; 0 is 4
	Slots    int // frames that may be prepared, waiting, running or read at a time; 0 is 2*batch+1

	Engine         EngineOptions
	GPUMemLimit    int64  // bytes that CUDA's arena may take; 0 does not limit
	EngineCacheDir string // where built engines are kept; "" builds them at each start

	// OnlyReady passes a provider over whose engine would have to be built
	// first, unless Strict asks for that one.
	OnlyReady     bool
	RehearsalTime time.Duration // see Rehearsal; 0 is 60 s

	Deadline    time.Duration // of one run; 0 is 30 s
	OpenTimeout time.Duration // of loading and warming up; 0 is 30 min
	// BuildTimeout is for an engine that has to be built before; 0 is 4 h, for a
	// large model on a small board.
	BuildTimeout time.Duration
	MaxBytes     int64 // largest file; 0 is 2 GiB

	// Progress is called every few seconds while the model loads, from the
	// goroutine that called Open; nil is not called.
	Progress func(stage string, elapsed time.Duration) `json:"-"`
	// Building is called when an engine begins to be built; nil is not called.
	Building func(Building) `json:"-"`
	Log      *slog.Logger   `json:"-"` // nil logs to the Runtime's
}

// EngineOptions say how TensorRT may build.
type EngineOptions struct {
	FP16        bool   // compute in half precision
	INT8        bool   // compute in 8 bits: of a QDQ model, or with Calibration
	Calibration string // file of INT8's ranges; "" for a QDQ model
	Workspace   int64  // bytes for trying the layers' variants; 0 is 1 GiB
	DLA         bool   // run layers on the deep learning accelerator of Orin and Xavier where it can
	DLACore     int    // which one
}

func (o Options) withDefaults(rt *Runtime) (Options, error) {
	if len(o.Providers) == 0 {
		o.Providers = []string{TensorRT, CUDA, CPU}
	}
	for i, p := range o.Providers {
		if !slices.Contains(providers(), p) {
			return o, badOption(fmt.Errorf("unknown execution provider %q", p), "choose among "+strings.Join(providers(), ", "))
		}
		if slices.Contains(o.Providers[:i], p) {
			return o, badOption(fmt.Errorf("execution provider %q is named twice", p), "")
		}
	}
	if o.Threads < 0 || o.MaxBatch < 0 || o.Slots < 0 || o.GPUMemLimit < 0 || o.Deadline < 0 || o.OpenTimeout < 0 || o.BuildTimeout < 0 {
		return o, badOption(fmt.Errorf("a count, limit or time is negative"), "")
	}
	if err := o.Engine.check(); err != nil {
		return o, err
	}
	if o.Threads == 0 {
		o.Threads = min(4, runtime.NumCPU())
	}
	if o.MaxBatch == 0 {
		o.MaxBatch = 4
	}
	o.MaxBatch = min(o.MaxBatch, 64)
	if o.RehearsalTime == 0 {
		o.RehearsalTime = time.Minute
	}
	if o.Deadline == 0 {
		o.Deadline = 30 * time.Second
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = 30 * time.Minute
	}
	if o.BuildTimeout == 0 {
		o.BuildTimeout = 4 * time.Hour
	}
	if o.Log == nil {
		o.Log = rt.cfg.Log
	}
	return o, nil
}

// builds reports whether an engine may be built in this process.
func (o Options) builds() bool { return o.Strict || !o.OnlyReady }

func (e EngineOptions) check() error {
	switch {
	case e.Workspace < 0 || e.DLACore < 0:
		return badOption(fmt.Errorf("a size or number for TensorRT is negative"), "")
	case e.Calibration != "" && !e.INT8:
		return badOption(fmt.Errorf("a calibration table is given and INT8 is not"), "allow INT8, or leave the table out")
	case e.DLA && !e.FP16 && !e.INT8:
		return badOption(fmt.Errorf("the deep learning accelerator computes in FP16 or INT8 only"), "allow one of them")
	}
	return nil
}

func badOption(err error, hint string) error {
	return &pipeline.Error{Op: "open model", Kind: pipeline.BadConfig, Err: err, Hint: hint}
}
